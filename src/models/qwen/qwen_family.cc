// Qwen 2 and 2.5 (biases on query, key and value) and Qwen 3 (norms on query and key instead), the dense ones.
#include "models/decoder_family.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

// Layers from max_window_layers on see a window, if the switch is on; newer files list the layers.
void read_windows(const HfConfig& f, LlamaConfig& c) {
  if (!f.boolean("use_sliding_window", false) || !f.has("sliding_window")) return;
  c.window = f.count("sliding_window", 1 << 30);
  const int64_t from = f.integer("max_window_layers", 28);
  c.local = read_layer_types(f, c.layers, [from](int64_t i) { return i >= from; });
}

}  // namespace

const DecoderFamily kQwen2Family = {"qwen2", "qwen2", {.context = 32768, .epsilon = 1e-6f, .tied = false}, [](const Gguf&, LlamaConfig& c) { c.attention_bias = true; },
                                    [](const HfConfig& f, LlamaConfig& c) {
                                      c.attention_bias = true;
                                      read_windows(f, c);
                                    }};

const DecoderFamily kQwen3Family = {"qwen3", "qwen3", {.head_size = 128, .context = 32768, .epsilon = 1e-6f, .tied = false}, [](const Gguf&, LlamaConfig& c) { c.head_norms = true; },
                                    [](const HfConfig& f, LlamaConfig& c) {
                                      c.head_norms = true;
                                      c.attention_bias = c.output_bias = f.boolean("attention_bias", false);
                                      read_windows(f, c);
                                    }};

}  // namespace ingot
