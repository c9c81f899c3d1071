// What a request's tokens must spell: a grammar, a schema, a pattern. One object a sequence; the engine calls it from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace ingot {

class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  // Sets what may not come next to -inf: tokens whose bytes leave the language, and every special token. logits[i] is of token i.
  virtual void mask(std::span<float> logits) = 0;
  virtual void accept(int32_t token) = 0;  // REQUIRES: mask() would have left it
  virtual bool may_end() const = 0;        // the text so far is whole; the engine allows end tokens exactly then
  // Continues from the same place on its own.
  virtual std::shared_ptr<TokenConstraint> fork() const = 0;
};

}  // namespace ingot
