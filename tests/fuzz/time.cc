// Dates in every form that trackers write, and column maps.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/sources/source.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    bool assumed = false;
    parse_time(text, &assumed);
    parse_map(text);
  } catch (const Error&) {
  }
  return 0;
}
