#include "models/llama/llama.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/sha256.h"

namespace ingot {

int64_t LlamaConfig::parameters() const {
  int64_t block = width * head_size * (2 * heads + 2 * groups) + 3 * width * hidden + 2 * width;
  return vocab * width * (tied ? 1 : 2) + layers * block + width;
}

float LlamaConfig::query_scale() const { return attention_scale > 0 ? attention_scale : 1.0f / std::sqrt(static_cast<float>(head_size)); }

double LlamaConfig::training_flops(int64_t length) const {
  int64_t products = vocab * width + layers * (width * head_size * (2 * heads + 2 * groups) + 3 * width * hidden);
  return 6.0 * static_cast<double>(products) + 12.0 * static_cast<double>(layers * length * heads * head_size);
}

Tensor Llama::trunk(const Context& c, std::span<const int32_t> ids, std::span<const int32_t> positions, const Attention& attend,
                    std::span<const AdapterRows> adapters) const {
  for (int32_t id : ids)
    if (id < 0 || id >= config_.vocab)
      bad_input("token " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(config_.vocab), "model",
                "use the tokenizer that came with this model");
  const float eps = config_.epsilon;
  Tensor x = embed(c, embedding_, ids);
  adapt_embedding(adapters, ids, x);
  if (config_.embedding_scale != 1) x = scale(c, x, config_.embedding_scale);
  auto block = [this, eps, adapters](const Context& c, int64_t i, Tensor x, std::span<const int32_t> positions, const Attention& attend) {
    const LlamaLayer& l = layers_[static_cast<size_t>(i)];
    const Rope rope = rope_of(i);
    Tensor n = rms_norm(c, x, l.attention_norm, eps);
    const auto before = [&](std::initializer_list<LoraTarget> targets) {  // has what adapt() reads fetched during the product
      Context with = c;
      with.upcoming = upcoming(adapters, i, targets);
      return with;
    };
    auto [q, k, v] = linears(before({LoraTarget::kQuery, LoraTarget::kKey, LoraTarget::kValue}), n, {{l.query, l.query_bias}, {l.key, l.key_bias}, {l.value, l.value_bias}});
    adapt(c, adapters, i, LoraTarget::kQuery, n, q, l.query_bias);
    adapt(c, adapters, i, LoraTarget::kKey, n, k, l.key_bias);
    adapt(c, adapters, i, LoraTarget::kValue, n, v, l.value_bias);
    if (l.query_norm) q = rms_norm(c, q, l.query_norm, eps);
    if (l.key_norm) k = rms_norm(c, k, l.key_norm, eps);
    q = rotate(c, q, config_.head_size, rope, positions);
    k = rotate(c, k, config_.head_size, rope, positions);
    Tensor attended = attend(c, i, q, k, v), y = linear(before({LoraTarget::kOutput}), attended, l.output, l.output_bias);
    adapt(c, adapters, i, LoraTarget::kOutput, attended, y, l.output_bias);
    if (l.attention_end_norm) y = rms_norm(c, y, l.attention_end_norm, eps);
    Tensor middle = add(c, x, y);
    n = rms_norm(c, middle, l.feed_norm, eps);
    auto [gate, up] = linears(before({LoraTarget::kGate, LoraTarget::kUp}), n, {{l.gate, {}}, {l.up, {}}});
    adapt(c, adapters, i, LoraTarget::kGate, n, gate);
    adapt(c, adapters, i, LoraTarget::kUp, n, up);
    Tensor inner = config_.activation == Activation::kSilu ? swiglu(c, gate, up) : geglu(c, gate, up);
    y = linear(before({LoraTarget::kDown}), inner, l.down);
    adapt(c, adapters, i, LoraTarget::kDown, inner, y);
    if (l.feed_end_norm) y = rms_norm(c, y, l.feed_end_norm, eps);
    return add(c, middle, y);
  };
  if (c.tape && c.recompute) {
    auto kept = std::make_shared<const std::vector<int32_t>>(positions.begin(), positions.end());
    for (int64_t i = 0; i < config_.layers; ++i)
      x = recomputed(c, x, [block, i, kept, attend](const Context& again, Tensor input) { return block(again, i, input, *kept, attend); });
  } else {
    for (int64_t i = 0; i < config_.layers; ++i) {
      const auto mark = c.arena.mark();
      Tensor y = block(c, i, x, positions, attend);
      if (c.tape) {
        x = y;
        continue;
      }
      // A layer's work is forgotten: the next one finds its memory in the cache.
      std::memcpy(x.data, y.data, static_cast<size_t>(x.size()) * sizeof(float));
      c.arena.release(mark);
    }
  }
  return rms_norm(c, x, output_norm_, eps);
}

Tensor Llama::logits(const Context& c, Tensor hidden, std::span<const AdapterRows> adapters) const {
  Tensor y = linear(c, hidden, head());
  adapt(c, adapters, 0, LoraTarget::kHead, hidden, y);
  if (config_.logit_cap > 0) soft_cap(c, y, config_.logit_cap);
  return y;
}

Rope Llama::rope_of(int64_t layer) const {
  if (config_.is_local(layer) && !local_inverse_frequency_.empty()) return {config_.rope_layout, config_.rope_dims, local_inverse_frequency_.data(), 1, {}};
  Rope rope{config_.rope_layout, config_.rope_dims, inverse_frequency_.data(), rope_magnitude_, {}};
  if (config_.rope_scaling.kind == RopeScaling::Kind::kDynamic)
    rope.growth = {config_.rope_base, config_.rope_scaling.factor, static_cast<int64_t>(config_.rope_scaling.trained)};
  return rope;
}

Tensor Llama::cached(const Context& c, std::span<const int32_t> ids, std::span<const RowPlace> places, KvCache& cache,
                     std::span<const AdapterRows> adapters) const {
  thread_local std::vector<int32_t> positions;
  positions.clear();
  for (const RowPlace& place : places) positions.push_back(place.position);
  return trunk(c, ids, positions, [&](const Context& c, int64_t layer, Tensor q, Tensor k, Tensor v) {
    return attend_cached(c, q, k, v, config_.head_size, cache, layer, places, config_.query_scale(), config_.window_of(layer));
  }, adapters);
}

Tensor Llama::dense(const Context& c, std::span<const int32_t> ids, int64_t length) const {
  if (config_.window > 0 && length > config_.window)
    bad_input("a text of " + std::to_string(length) + " tokens is longer than the model's sliding window of " + std::to_string(config_.window), "training",
              "train on texts of at most that length");
  std::vector<int32_t> positions(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) positions[i] = static_cast<int32_t>(static_cast<int64_t>(i) % length);
  return trunk(c, ids, positions, [this, length](const Context& c, int64_t, Tensor q, Tensor k, Tensor v) {
    return attend_dense(c, q, k, v, config_.head_size, length, config_.query_scale());
  });
}

Tensor Llama::packed(const Context& c, std::span<const int32_t> ids, std::span<const int64_t> starts) const {
  std::vector<int32_t> positions;
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const int64_t length = starts[s + 1] - starts[s];
    if (config_.window > 0 && length > config_.window)
      bad_input("a text of " + std::to_string(length) + " tokens is longer than the model's sliding window of " + std::to_string(config_.window), "training",
                "train on texts of at most that length");
    for (int64_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(i));
  }
  return trunk(c, ids, positions, [this, kept = std::vector<int64_t>(starts.begin(), starts.end())](const Context& c, int64_t, Tensor q, Tensor k, Tensor v) {
    return attend_dense(c, q, k, v, config_.head_size, kept, config_.query_scale());
  });
}

KvCache Llama::make_cache(int64_t positions, CacheType type) const {
  return KvCache(config_.layers, config_.groups, config_.head_size, type, (positions + 63) / 64);
}

std::vector<Weight*> Llama::weights() {
  std::vector<Weight*> all{&embedding_};
  const auto parts = layer_parts(config_);
  for (LlamaLayer& l : layers_)
    for (const LayerPart& part : parts) all.push_back(&(l.*part.weight));
  all.push_back(&output_norm_);
  all.push_back(&output_);
  std::erase_if(all, [](Weight* w) { return !*w; });
  return all;
}

std::string Llama::fingerprint() const {
  std::string all;
  for (const Weight* w : const_cast<Llama*>(this)->weights())
    all += w->name + hex(sha256({static_cast<const std::byte*>(w->data), static_cast<size_t>(w->rows * row_bytes(w->type, w->cols))}));
  return hex(sha256(std::string_view(all)));
}

int64_t Llama::weight_bytes() const {
  int64_t sum = 0;
  for (const Weight* w : const_cast<Llama*>(this)->weights()) sum += w->rows * row_bytes(w->type, w->cols);
  return sum;
}

}  // namespace ingot
