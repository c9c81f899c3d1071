// Llama 1 to 3.3 and what is built the same: SmolLM2, TinyLlama.
#include "models/decoder_family.h"
#include "models/llama/llama.h"

namespace ingot {

const DecoderFamily kLlamaFamily = {
    "llama", "llama smollm", {.context = 2048, .epsilon = 1e-6f, .tied = false},
    [](const Gguf&, LlamaConfig& c) {
      c.gguf_pairs = true;  // GGUF's llama stores a head's rotary halves as pairs
    },
    [](const HfConfig& f, LlamaConfig& c) {
      if (f.boolean("mlp_bias", false)) f.refuse("mlp_bias is true; a feed-forward with biases is not supported");
      c.attention_bias = c.output_bias = f.boolean("attention_bias", false);
    }};

}  // namespace ingot
