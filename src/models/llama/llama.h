// Llama (Touvron 2023) and its near relatives: RMSNorm, rotary positions, grouped-query attention, SwiGLU; Qwen2's biases and Qwen3's
// query and key norms too. One forward pass serves training and inference; only what attention reads differs.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/llama/lora.h"
#include "ops/kv_cache.h"
#include "ops/ops.h"

namespace ingot {

class Random;

struct LlamaConfig {
  std::string architecture = "llama";  // GGUF's general.architecture: llama, qwen2, qwen3
  int64_t vocab = 0, width = 0, layers = 0, heads = 0, groups = 0, head_size = 0, hidden = 0, context = 0, rope_dims = 0;
  int64_t window = 0;  // sliding window, 0: none
  float epsilon = 1e-5f, rope_base = 10000;
  RopeLayout rope_layout = RopeLayout::kPairs;
  bool tied = true;

  int64_t parameters() const;
  // Of one trained token in a text of `length`: 6 a parameter in a product, 12 layers length width for attention (PaLM's count).
  double training_flops(int64_t length) const;
};

struct LlamaLayer {
  Weight attention_norm, query, key, value, output, query_bias, key_bias, value_bias, query_norm, key_norm;
  Weight feed_norm, gate, up, down;
};

class Llama {
 public:
  // Weights stay in the mapping, which the model keeps alive. Throws Error (input) naming the key or tensor that is missing or misshapen.
  static std::shared_ptr<Llama> load(std::shared_ptr<const Gguf> file);
  // f32 weights of its own with gradients: normal 0.02, projections into the residual stream divided by sqrt(2 layers) (GPT-2).
  static std::shared_ptr<Llama> random(const LlamaConfig& config, uint64_t seed);
  // A copy in f32 with gradients, to train on from.
  static std::shared_ptr<Llama> trainable(const Llama& from);

  // What attention reads: given a layer and its rotated q, k and v, the result [n, heads * head_size].
  using Attention = std::function<Tensor(int64_t layer, Tensor q, Tensor k, Tensor v)>;
  // ids and positions, one a row -> [n, width] after the last norm.
  Tensor trunk(const Context& c, std::span<const int32_t> ids, std::span<const int32_t> positions, const Attention& attend) const;
  Tensor logits(const Context& c, Tensor hidden) const { return linear(c, hidden, head()); }
  const Weight& head() const { return config_.tied ? embedding_ : output_; }

  // The two uses: cached rows of any sequences (those of one adapter together), and whole sequences of `length` rows.
  Tensor cached(const Context& c, std::span<const int32_t> ids, std::span<const RowPlace> places, KvCache& cache,
                std::span<const AdapterRows> adapters = {}) const;
  Tensor dense(const Context& c, std::span<const int32_t> ids, int64_t length) const;
  KvCache make_cache(int64_t positions, CacheType type) const;

  const LlamaConfig& config() const { return config_; }
  const std::shared_ptr<const Gguf>& file() const { return file_; }
  std::vector<Weight*> weights();  // all that are present, in a fixed order
  int64_t weight_bytes() const;
  // Metadata and tensors; matrices in `type` where it fits, the token table in `table_type`, vectors in F32.
  void write(GgufWriter& out, ElementType type, ElementType table_type) const;

 private:
  void set_rope(const Weight& factors);
  LlamaConfig config_;
  Weight embedding_, output_norm_, output_;
  std::vector<LlamaLayer> layers_;
  std::vector<float> inverse_frequency_;
  float rope_magnitude_ = 1;
  std::shared_ptr<const Gguf> file_;
  std::vector<std::shared_ptr<float[]>> owned_;
};

}  // namespace ingot
