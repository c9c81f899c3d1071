// An adapter over two small bases: a GGUF file, or a line of adapter_config.json and then adapter_model.safetensors, as the engine and
// the trainer read them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "memory_file.h"
#include "models/llama/llama.h"
#include "train/lora.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  static ThreadTeam team(1);
  static Arena arena;
  static const auto bases = [] {
    LlamaConfig c;
    c.vocab = 16, c.width = 16, c.layers = 1, c.heads = 2, c.groups = 1, c.head_size = c.rope_dims = 8, c.hidden = 16, c.context = 32;
    auto pairs = Llama::random(c, 1);
    c.rope_layout = RopeLayout::kHalves;
    return std::array{pairs, Llama::random(c, 1)};
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(text.find('\n'), text.size());
  const auto config = text.substr(0, line);
  const auto tensors = std::as_bytes(std::span(data, size)).subspan(std::min(line + 1, size));
  for (const auto& base : bases) {
    try {
      std::shared_ptr<const LoraAdapter> adapter;
      if (text.starts_with("GGUF")) adapter = LoraAdapter::open(MemoryFile(data, size).path(), *base);
      else adapter = LoraAdapter::read(config, tensors, "fuzz", *base);
      arena.release({});
      const Context c{team, arena};
      KvCache cache = base->make_cache(64, CacheType::kF32);
      const int32_t page = cache.take();
      const std::array<RowPlace, 2> places{RowPlace{&page, 0}, {&page, 1}};
      const std::array rows{AdapterRows{adapter.get(), 0, 2}};
      base->logits(c, base->cached(c, std::array<int32_t, 2>{3, 15}, places, cache, rows), rows);
    } catch (const Error&) {
    }
  }
  try {
    if (!text.starts_with("GGUF")) Lora::read(*bases[0], config, tensors, "fuzz");
  } catch (const Error&) {
  }
  return 0;
}
