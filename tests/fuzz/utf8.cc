// Any bytes as UTF-8, cut into pieces: nothing lost, nothing read past the end.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include <cstdlib>
#include <vector>
#include "foundry/sources/source.h"
#include "text/normalise.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const std::string whole = repair_utf8(text);
    if (!is_utf8(whole)) std::abort();
    for (auto kind : {PreTokenizer::kGpt2, PreTokenizer::kSmolLm, PreTokenizer::kLlama3, PreTokenizer::kQwen2}) {
      std::vector<std::string_view> pieces;
      pre_tokenize(kind, whole, pieces);
      std::string joined;
      for (std::string_view piece : pieces) joined += piece;
      if (joined != whole) std::abort();
    }
    // Fed byte by byte, the stream must say the same.
    Utf8Stream stream;
    std::string streamed;
    for (size_t i = 0; i < size; ++i) streamed += stream.push(text.substr(i, 1));
    if (streamed + stream.finish() != whole) std::abort();
    std::string converted(text);
    to_utf8(converted);
    if (!is_utf8(converted)) std::abort();
    normalise_text(text);
  } catch (const Error&) {
  }
  return 0;
}
