// The table of word-piece vectors.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include <span>
#include <vector>
#include "models/word_vectors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const std::vector<std::string> texts{"a text of words", ""};
    WordVectors::load(std::as_bytes(std::span(text)))->encode(texts);
  } catch (const Error&) {
  }
  return 0;
}
