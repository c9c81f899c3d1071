// What stands between a model and whoever asked: generated text goes in as it comes, and only what may leave comes out.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace ingot {

// One answer. One thread at a time may call; the calls take as long as the checks. To stop checking, stop calling.
class ReleaseGate {
 public:
  virtual ~ReleaseGate() = default;
  // Takes the next generated text, gives what may leave now; empty while it is held. The call that finds something to block
  // gives the words that stand in its place, once; from then on stopped() is true and everything is empty: end the generation.
  virtual std::string push(std::string_view text) = 0;
  // The answer is complete: gives what was still held, or the words in its place. Nothing may be pushed afterwards.
  virtual std::string finish() = 0;
  virtual bool stopped() const = 0;
  virtual std::string reason() const = 0;           // for a person; empty unless stopped
  virtual std::string rail() const { return ""; }   // which rail stopped it
};

// For an AI without rails: everything leaves at once.
class OpenGate final : public ReleaseGate {
 public:
  std::string push(std::string_view text) override { return std::string(text); }
  std::string finish() override { return ""; }
  bool stopped() const override { return false; }
  std::string reason() const override { return ""; }
};

}  // namespace ingot
