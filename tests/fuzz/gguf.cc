// GGUF metadata and tensor tables, and the tokenizer that a GGUF may hold.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "formats/gguf.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto gguf = Gguf::parse(std::as_bytes(std::span(text)), "fuzz");
    for (const GgufTensor& tensor : gguf->tensors()) {
      const std::string_view held(reinterpret_cast<const char*>(tensor.data), tensor.bytes);
      if (!held.empty() && held.front() == 1 && held.back() == 2) continue;  // both ends are readable
      tensor.elements();
    }
    const auto tokenizer = Tokenizer::from_gguf(*gguf);
    tokenizer->decode(tokenizer->encode("a text with 12 words, <|im_start|> and \xc3\xa9"));
  } catch (const Error&) {
  }
  return 0;
}
