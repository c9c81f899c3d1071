// Llama (Touvron 2023) and its relatives: RMSNorm, rotary positions, grouped-query attention, a gated feed-forward; what Mistral, Qwen
// and Gemma add is a switch each (decoder_family.h). One forward pass serves training and inference; only what attention reads differs.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/llama/lora.h"
#include "models/llama/rope_scaling.h"
#include "ops/kv_cache.h"
#include "ops/ops.h"

namespace ingot {

class Random;
class Safetensors;


enum class Activation { kSilu, kGeluTanh };  // of the feed-forward's gate

struct LlamaConfig {
  std::string architecture = "llama";  // GGUF's general.architecture: llama, qwen2, qwen3, gemma3
  int64_t vocab = 0, width = 0, layers = 0, heads = 0, groups = 0, head_size = 0, hidden = 0, context = 0, rope_dims = 0;
  int64_t window = 0;        // positions that a row sees, its own among them; 0: all before it
  std::vector<bool> local{};  // which layers the window holds for; empty: every one
  float epsilon = 1e-5f, rope_base = 10000;
  float local_rope_base = 0;  // of the local layers, unscaled; 0: as the others
  RopeScaling rope_scaling{};
  RopeLayout rope_layout = RopeLayout::kPairs;
  bool gguf_pairs = false;    // a GGUF of this architecture has its query and key rows as pairs
  bool tied = true;           // the head is the token table
  bool attention_bias = false, output_bias = false;  // on query, key and value; on attention's result
  bool head_norms = false;    // on each head's query and key
  bool block_norms = false;   // on what attention and feed-forward give back
  Activation activation = Activation::kSilu;
  float embedding_scale = 1, norm_plus = 0;  // norm_plus: what the folder's norm weights lack
  float attention_scale = 0;  // 0: 1/sqrt(head_size)
  float logit_cap = 0;        // cap tanh(logit / cap); 0: none

  float query_scale() const;
  int64_t window_of(int64_t layer) const { return local.empty() || local[static_cast<size_t>(layer)] ? window : 0; }
  bool is_local(int64_t layer) const { return !local.empty() && local[static_cast<size_t>(layer)]; }
  int64_t parameters() const;
  // Of one trained token in a text of `length`: 6 a parameter in a product, 12 layers length width for attention (PaLM's count).
  double training_flops(int64_t length) const;
};

struct LlamaLayer {
  Weight attention_norm, query, key, value, output, query_bias, key_bias, value_bias, output_bias, query_norm, key_norm;
  Weight attention_end_norm, feed_norm, gate, up, down, feed_end_norm;
};

// One weight of a layer: its names in GGUF ("blk.0." before it) and in a folder ("model.layers.0." before it).
struct LayerPart {
  Weight LlamaLayer::*weight;
  const char *gguf, *folder;
  int64_t rows, cols;  // rows 1: a vector
  bool required;
};
// In the order that weights() has.
std::vector<LayerPart> layer_parts(const LlamaConfig& config);

class Llama {
 public:
  // Weights stay in the mapping, which the model keeps alive. Throws Error (input) naming the key or tensor that is missing or misshapen.
  static std::shared_ptr<Llama> load(std::shared_ptr<const Gguf> file);
  // The same from a Hugging Face folder: its config.json and its safetensors.
  static std::shared_ptr<Llama> load(const HfConfig& config, std::shared_ptr<const Safetensors> files);
  // f32 weights of its own with gradients: normal 0.02, projections into the residual stream divided by sqrt(2 layers) (GPT-2).
  static std::shared_ptr<Llama> random(const LlamaConfig& config, uint64_t seed);
  // A copy in f32 with gradients, to train on from.
  static std::shared_ptr<Llama> trainable(const Llama& from);

  // What attention reads: given a layer and its rotated q, k and v, the result [n, heads * head_size].
  using Attention = std::function<Tensor(const Context& c, int64_t layer, Tensor q, Tensor k, Tensor v)>;
  // ids and positions, one a row -> [n, width] after the last norm.
  Tensor trunk(const Context& c, std::span<const int32_t> ids, std::span<const int32_t> positions, const Attention& attend,
               std::span<const AdapterRows> adapters = {}) const;
  Tensor logits(const Context& c, Tensor hidden, std::span<const AdapterRows> adapters = {}) const;  // adapters: of the rows of hidden
  const Weight& embedding() const { return embedding_; }
  const Weight& head() const { return config_.tied ? embedding_ : output_; }

  // The two uses: cached rows of any sequences (those of one adapter together), and whole sequences of `length` rows.
  Tensor cached(const Context& c, std::span<const int32_t> ids, std::span<const RowPlace> places, KvCache& cache,
                std::span<const AdapterRows> adapters = {}) const;
  Tensor dense(const Context& c, std::span<const int32_t> ids, int64_t length) const;
  // Sequences of any lengths, one after the other: sequence i has the rows [starts[i], starts[i + 1]).
  Tensor packed(const Context& c, std::span<const int32_t> ids, std::span<const int64_t> starts) const;
  KvCache make_cache(int64_t positions, CacheType type) const;

  const LlamaConfig& config() const { return config_; }
  const std::vector<LlamaLayer>& layers() const { return layers_; }
  const LlamaLayer& layer(int64_t i) const { return layers_[static_cast<size_t>(i)]; }
  Rope rope_of(int64_t layer) const;
  const std::shared_ptr<const Gguf>& file() const { return file_; }  // null unless it came from one
  void release_pages() const;      // the stored weights leave memory until they are touched
  std::vector<Weight*> weights();  // all that are present, in a fixed order
  int64_t weight_bytes() const;
  std::string fingerprint() const;  // of all weights; reads them
  // Metadata and tensors; matrices in `type` where it fits, the token table in `table_type`, vectors in F32.
  void write(GgufWriter& out, ElementType type, ElementType table_type) const;

 private:
  void set_rope(const Weight& factors);  // factors: what a GGUF divides the frequencies by, or nothing
  LlamaConfig config_;
  Weight embedding_, output_norm_, output_;
  std::vector<LlamaLayer> layers_;
  std::vector<float> inverse_frequency_, local_inverse_frequency_;
  float rope_magnitude_ = 1;
  std::shared_ptr<const Gguf> file_;
  std::shared_ptr<const Safetensors> folder_;
  std::vector<std::shared_ptr<float[]>> owned_;
};

}  // namespace ingot
