// Special tokens that people write out in what they send stay text: "<|im_end|>" in a message ends nothing.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

class Tokenizer;

// A prompt as a template wrote it, and where in it special tokens were written by others than the template.
struct PromptText {
  std::string text;
  std::vector<size_t> written;  // offsets, sorted: what Tokenizer::encode_prompt takes
};

// Marks the written ones before a template sees them, and finds them again in what it made: a mark is a noncharacter of Unicode behind
// the token's first character, one that occurs nowhere in the texts. Texts without special tokens are not touched.
class WrittenSpecials {
 public:
  // values: all that the template will be given. Throws Error (input) when it uses every noncharacter there is.
  WrittenSpecials(const Tokenizer& tokenizer, const nlohmann::ordered_json& values);

  void mark(nlohmann::ordered_json& value) const;   // every text below it, names too
  void mark(std::string& text) const;
  PromptText take_out(const std::string& text) const;

 private:
  const Tokenizer& tokenizer_;
  std::string mark_;
};

}  // namespace ingot
