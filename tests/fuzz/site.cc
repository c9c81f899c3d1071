// site.toml and catalogue.toml.
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "runtime/catalogue.h"
#include "serve/site.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    parse_site(text, "fuzz", "/");
  } catch (const Error&) {
  }
  try {
    parse_catalogue(text, "fuzz");
  } catch (const Error&) {
  }
  return 0;
}
