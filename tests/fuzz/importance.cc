// An importance matrix, in either form.
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "formats/importance.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  try {
    const auto importance = Importance::parse(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    importance.find("blk.0.attn_q.weight", 4);
  } catch (const Error&) {
  }
  return 0;
}
