// An adapter's two files: a line of adapter_config.json, then adapter_model.safetensors, over a small base.
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "train/lora.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  static const auto base = [] {
    LlamaConfig c;
    c.vocab = 16, c.width = 16, c.layers = 1, c.heads = 2, c.groups = 1, c.head_size = c.rope_dims = 8, c.hidden = 16, c.context = 32;
    return Llama::random(c, 1);
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(text.find('\n'), text.size());
  try {
    Lora::read(*base, text.substr(0, line), std::as_bytes(std::span(data, size)).subspan(std::min(line + 1, size)), "fuzz");
  } catch (const Error&) {
  }
  return 0;
}
