#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "guard/injection/disguise.h"
#include "guard/injection/injection_rail.h"
#include "guard/language.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto readings = ingot::readings_of(text);
  if (readings.empty()) std::abort();
  for (const ingot::Reading& reading : readings) ingot::judged_passages(reading.text);
  ingot::language_of(text);
  return 0;
}
