// Mistral: a Llama whose attention may be limited to a sliding window.
#include "models/decoder_family.h"
#include "models/llama/llama.h"

namespace ingot {

const DecoderFamily kMistralFamily = {
    "llama", "mistral", {.groups = 8, .context = 4096 * 32, .epsilon = 1e-6f, .tied = false},
    [](const Gguf&, LlamaConfig& c) { c.gguf_pairs = true; },
    [](const HfConfig& f, LlamaConfig& c) {
      // Without the key there is the first version's window; null means none.
      if (f.has("sliding_window") || !f.names("sliding_window")) c.window = f.count("sliding_window", 1 << 30, 4096);
    }};

}  // namespace ingot
