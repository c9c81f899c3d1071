// Gemma 3, its text part: scaled embeddings, norms on both sides of a block and on query and key, a gelu gate, five layers with a
// window and a rotary base of their own for each that sees everything.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/decoder_family.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

void set_common(LlamaConfig& c) {
  c.head_norms = c.block_norms = true;
  c.activation = Activation::kGeluTanh;
  c.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(c.width)));
}

std::vector<bool> every(int64_t layers, int64_t period) {
  std::vector<bool> local;
  for (int64_t i = 0; i < layers; ++i) local.push_back((i + 1) % period != 0);
  return local;
}

}  // namespace

const DecoderFamily kGemma3Family = {
    "gemma3", "gemma3_text gemma3",
    {.vocab = 262208, .width = 2304, .layers = 26, .heads = 8, .groups = 4, .head_size = 256, .hidden = 9216, .context = 131072, .epsilon = 1e-6f,
     .rope_base = 1e6f, .activation = Activation::kGeluTanh},
    [](const Gguf& f, LlamaConfig& c) {
      set_common(c);
      c.local_rope_base = static_cast<float>(f.number("gemma3.rope.freq_base_swa", 10000));
      if (c.window > 0) {
        const int64_t period = f.integer("gemma3.attention.sliding_window_pattern", 6);
        if (period < 1) bad_input("sliding_window_pattern is " + std::to_string(period) + ", expected 1 or more", f.name(), "the model file is damaged; fetch it again");
        c.local = every(c.layers, period);
      }
      // The key is not in the file: the 27B alone, of 62 layers, scales by its width over its heads.
      if (c.layers == 62) c.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.width) / static_cast<float>(c.heads));
      c.logit_cap = static_cast<float>(f.number("gemma3.final_logit_softcapping", 0));
    },
    [](const HfConfig& f, LlamaConfig& c) {
      set_common(c);
      c.norm_plus = 1;
      if (f.has("attn_logit_softcapping") && f.number("attn_logit_softcapping", 0) > 0) f.refuse("attn_logit_softcapping is set; capped attention is not supported");
      if (f.boolean("use_bidirectional_attention", false)) f.refuse("use_bidirectional_attention is true; an encoder's attention is not supported here");
      c.attention_bias = c.output_bias = f.boolean("attention_bias", false);
      c.logit_cap = static_cast<float>(f.number("final_logit_softcapping", 0));
      c.attention_scale = 1.0f / std::sqrt(static_cast<float>(std::max(1e-6, f.number("query_pre_attn_scalar", 256))));
      c.window = f.count("sliding_window", 1 << 30, 4096);
      const int64_t period = f.count("sliding_window_pattern", 1024, f.count("_sliding_window_pattern", 1024, 6));
      c.local = read_layer_types(f, c.layers, [period](int64_t i) { return (i + 1) % period != 0; });
      c.local_rope_base = static_cast<float>(f.number("rope_local_base_freq", 10000));
      if (auto rope = f.object("rope_parameters"))
        if (auto local = rope->object("sliding_attention")) c.local_rope_base = static_cast<float>(local->number("rope_theta", 10000));
    }};

}  // namespace ingot
