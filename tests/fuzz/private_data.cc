// Spans of private data: inside the text, rising, not overlapping; masked text holds no more of them.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include <cstdlib>
#include "guard/private_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto spans = find_private_data(text);
    size_t last = 0;
    for (const PrivateSpan& span : spans) {
      if (span.begin < last || span.begin >= span.end || span.end > text.size()) std::abort();
      last = span.end;
    }
    mask_private_data(text, spans);
  } catch (const Error&) {
  }
  return 0;
}
