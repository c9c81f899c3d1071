// The options that say how tokens are drawn, of every command that generates.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ingot {

class Tokenizer;
struct Generation;
struct SamplingAdvice;

// Adds them to a command. After parsing, settle() puts them into a request.
struct SamplingOptions {
  void add_to(CLI::App& command, Generation& request);  // both must live until settle()
  // What was not said on the command line is as the model's makers advise. Throws Error (usage) for a bias of a token that is not there.
  void settle(const SamplingAdvice& advice, const Tokenizer& tokenizer, Generation& request) const;

 private:
  const CLI::App* command_ = nullptr;
  std::vector<std::string> biases_;
};

}  // namespace ingot
