// Makes what a request asks for (a schema, a grammar, a pattern, choices) into a TokenConstraint over a model's vocabulary.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/token_constraint.h"
#include "text/tokenizer.h"

namespace ingot {

struct ConstraintSpec {
  enum class Kind { kJsonSchema, kJsonObject, kGrammar, kRegex, kChoice };
  Kind kind = Kind::kJsonObject;
  std::string source;                // the schema, the grammar in llama.cpp's notation, or the regular expression
  std::vector<std::string> choices;  // kChoice
};

// One a tokenizer; any thread. Grammars that were used lately are kept ready with their masks.
class ConstraintFactory {
 public:
  explicit ConstraintFactory(std::shared_ptr<const Tokenizer> tokenizer, size_t kept = 32);
  ~ConstraintFactory();
  // Throws Error (input) saying what is wrong or not supported, and where.
  std::shared_ptr<TokenConstraint> make(const ConstraintSpec& spec);

 private:
  struct Vocabulary;
  struct Kept;
  std::shared_ptr<const Vocabulary> vocabulary_;
  size_t most_;
  std::mutex mutex_;
  std::list<Kept> kept_;  // used last first
};

std::shared_ptr<TokenConstraint> make_constraint(const ConstraintSpec& spec, std::shared_ptr<const Tokenizer> tokenizer);

}  // namespace ingot
