#include "models/llama/llama.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace ingot {

int64_t LlamaConfig::parameters() const {
  int64_t block = width * head_size * (2 * heads + 2 * groups) + 3 * width * hidden + 2 * width;
  return vocab * width * (tied ? 1 : 2) + layers * block + width;
}

double LlamaConfig::training_flops(int64_t length) const {
  int64_t products = vocab * width + layers * (width * head_size * (2 * heads + 2 * groups) + 3 * width * hidden);
  return 6.0 * static_cast<double>(products) + 12.0 * static_cast<double>(layers * length * heads * head_size);
}

Tensor Llama::trunk(const Context& c, std::span<const int32_t> ids, std::span<const int32_t> positions, const Attention& attend) const {
  for (int32_t id : ids)
    if (id < 0 || id >= config_.vocab)
      bad_input("token " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(config_.vocab), "model",
                "use the tokenizer that came with this model");
  const Rope rope{config_.rope_layout, config_.rope_dims, inverse_frequency_.data(), rope_magnitude_};
  const float eps = config_.epsilon;
  Tensor x = embed(c, embedding_, ids);
  for (int64_t i = 0; i < config_.layers; ++i) {
    const LlamaLayer& l = layers_[static_cast<size_t>(i)];
    Tensor n = rms_norm(c, x, l.attention_norm, eps);
    Tensor q = linear(c, n, l.query, l.query_bias), k = linear(c, n, l.key, l.key_bias), v = linear(c, n, l.value, l.value_bias);
    if (l.query_norm) q = rms_norm(c, q, l.query_norm, eps);
    if (l.key_norm) k = rms_norm(c, k, l.key_norm, eps);
    q = rotate(c, q, config_.head_size, rope, positions);
    k = rotate(c, k, config_.head_size, rope, positions);
    x = add(c, x, linear(c, attend(i, q, k, v), l.output));
    n = rms_norm(c, x, l.feed_norm, eps);
    x = add(c, x, linear(c, swiglu(c, linear(c, n, l.gate), linear(c, n, l.up)), l.down));
  }
  return rms_norm(c, x, output_norm_, eps);
}

Tensor Llama::cached(const Context& c, std::span<const int32_t> ids, std::span<const RowPlace> places, KvCache& cache,
                     std::span<const AdapterRows>) const {
  thread_local std::vector<int32_t> positions;
  positions.clear();
  for (const RowPlace& place : places) positions.push_back(place.position);
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.head_size));
  return trunk(c, ids, positions, [&](int64_t layer, Tensor q, Tensor k, Tensor v) {
    return attend_cached(c, q, k, v, config_.head_size, cache, layer, places, scale, config_.window);
  });
}

Tensor Llama::dense(const Context& c, std::span<const int32_t> ids, int64_t length) const {
  std::vector<int32_t> positions(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) positions[i] = static_cast<int32_t>(static_cast<int64_t>(i) % length);
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.head_size));
  return trunk(c, ids, positions,
               [&](int64_t, Tensor q, Tensor k, Tensor v) { return attend_dense(c, q, k, v, config_.head_size, length, scale); });
}

KvCache Llama::make_cache(int64_t positions, CacheType type) const {
  return KvCache(config_.layers, config_.groups, config_.head_size, type, (positions + 63) / 64);
}

std::vector<Weight*> Llama::weights() {
  std::vector<Weight*> all{&embedding_};
  for (LlamaLayer& l : layers_)
    for (Weight* w : {&l.attention_norm, &l.query, &l.key, &l.value, &l.query_bias, &l.key_bias, &l.value_bias, &l.query_norm, &l.key_norm,
                      &l.output, &l.feed_norm, &l.gate, &l.up, &l.down})
      all.push_back(w);
  all.push_back(&output_norm_);
  all.push_back(&output_);
  std::erase_if(all, [](Weight* w) { return !*w; });
  return all;
}

int64_t Llama::weight_bytes() const {
  int64_t sum = 0;
  for (const Weight* w : const_cast<Llama*>(this)->weights()) sum += w->rows * row_bytes(w->type, w->cols);
  return sum;
}

}  // namespace ingot
