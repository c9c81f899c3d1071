// config.json as the decoders and encoders read it; no weights follow.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/error.h"
#include "formats/safetensors.h"
#include "models/bert/bert.h"
#include "models/llama/llama.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  static const std::string bytes = std::string("\2\0\0\0\0\0\0\0", 8) + "{}";
  static const auto nothing = Safetensors::parse(std::as_bytes(std::span(bytes)), "nothing");
  try {
    const HfConfig config = HfConfig::parse(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
    if (is_bert(config)) Bert::load(config, nothing);
    else Llama::load(config, nothing);
  } catch (const Error&) {
  }
  return 0;
}
