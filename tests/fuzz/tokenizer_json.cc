// tokenizer.json as Hugging Face writes it.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = Tokenizer::from_json(text, "fuzz");
    tokenizer->decode(tokenizer->encode("a text with 12 words, <|im_start|> and \xc3\xa9"), true);
    Tokenizer::from_json(tokenizer->to_json(), "again");
  } catch (const Error&) {
  }
  return 0;
}
