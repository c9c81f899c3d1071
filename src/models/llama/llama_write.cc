// A Llama as GGUF.
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/dequantize.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

// How many layers it takes until the pattern of local layers repeats, its last one seeing everything.
int64_t window_period(const LlamaConfig& c) {
  for (int64_t period = 1; period <= c.layers + 1; ++period) {
    bool fits = true;
    for (int64_t i = 0; i < c.layers && fits; ++i) fits = c.local[static_cast<size_t>(i)] == ((i + 1) % period != 0);
    if (fits) return period;
  }
  bad_input("GGUF cannot say which of this model's layers have a window", c.architecture, "keep the model as a folder");
}

void write_rope(GgufWriter& out, const LlamaConfig& c, std::span<const float> frequencies) {
  const std::string at = c.architecture + ".rope.";
  const RopeScaling& s = c.rope_scaling;
  out.set(at + "freq_base", GgufValue::f32(c.rope_base));
  switch (s.kind) {
    case RopeScaling::Kind::kDynamic:
      bad_input("GGUF has no dynamic rotary scaling", c.architecture, "keep the model as a folder");
    case RopeScaling::Kind::kLinear:
    case RopeScaling::Kind::kYarn:
      out.set(at + "scaling.type", GgufValue::text(s.kind == RopeScaling::Kind::kYarn ? "yarn" : "linear"));
      out.set(at + "scaling.factor", GgufValue::f32(static_cast<float>(s.factor)));
      out.set(at + "scaling.original_context_length", GgufValue::u32(static_cast<uint32_t>(s.trained)));
      if (s.kind == RopeScaling::Kind::kYarn) {
        out.set(at + "scaling.yarn_beta_fast", GgufValue::f32(static_cast<float>(s.beta_fast)));
        out.set(at + "scaling.yarn_beta_slow", GgufValue::f32(static_cast<float>(s.beta_slow)));
        const double usual = s.factor <= 1 ? 1.0 : 0.1 * std::log(s.factor) + 1.0;
        if (std::abs(s.magnitude() / usual - 1) > 1e-6) out.set(at + "scaling.attn_factor", GgufValue::f32(static_cast<float>(s.magnitude() / usual)));
      }
      return;
    default: break;
  }
  // Llama 3's scaling is a tensor of divisors.
  const auto plain = RopeScaling{}.inverse_frequencies(c.rope_base, c.rope_dims);
  std::string factors(plain.size() * sizeof(float), '\0');
  bool scaled = false;
  for (size_t i = 0; i < plain.size(); ++i) {
    const float factor = plain[i] / frequencies[i];
    scaled |= factor != 1;
    std::memcpy(factors.data() + i * sizeof factor, &factor, sizeof factor);
  }
  if (scaled) out.add("rope_freqs.weight", {static_cast<int64_t>(plain.size())}, ElementType::kF32, std::move(factors));
}

// Where row `r` of a GGUF's pairs comes from among a folder's halves, heads of `size` rows.
int64_t half_of_pair(int64_t r, int64_t size) {
  const int64_t in = r % size;
  return r - in + in / 2 + (in % 2) * (size / 2);
}

}  // namespace

void Llama::write(GgufWriter& out, ElementType type, ElementType table_type) const {
  const LlamaConfig& c = config_;
  const std::string a = c.architecture + ".";
  auto number = [&](const char* key, int64_t value) { out.set(a + key, GgufValue::u32(static_cast<uint32_t>(value))); };
  out.set("general.architecture", GgufValue::text(c.architecture));
  number("embedding_length", c.width);
  number("block_count", c.layers);
  number("attention.head_count", c.heads);
  number("attention.head_count_kv", c.groups);
  number("attention.key_length", c.head_size);
  number("attention.value_length", c.head_size);
  number("feed_forward_length", c.hidden);
  number("context_length", c.context);
  number("rope.dimension_count", c.rope_dims);
  number("vocab_size", c.vocab);
  out.set(a + "attention.layer_norm_rms_epsilon", GgufValue::f32(c.epsilon));
  if (c.window > 0) number("attention.sliding_window", c.window);
  if (!c.local.empty()) number("attention.sliding_window_pattern", window_period(c));
  if (c.local_rope_base > 0) out.set(a + "rope.freq_base_swa", GgufValue::f32(c.local_rope_base));
  if (c.logit_cap > 0) out.set(a + "final_logit_softcapping", GgufValue::f32(c.logit_cap));
  write_rope(out, c, inverse_frequency_);
  // A folder's llama has its query and key rows as halves, a GGUF's as pairs.
  const bool to_pairs = c.architecture == "llama" && c.rope_layout == RopeLayout::kHalves;
  if (to_pairs && c.rope_dims != c.head_size)
    bad_input("only a part of each head is rotated, which GGUF's llama does not say for folders", c.architecture, "keep the model as a folder");
  for (const Weight* w : const_cast<Llama*>(this)->weights()) {
    ElementType to = w->rows == 1 ? ElementType::kF32 : w == &embedding_ ? table_type : type;
    if (w->cols % block_length(to))
      bad_input("rows of " + std::to_string(w->cols) + " do not fill blocks of " + std::string(element_name(to)), w->name, "choose a type with smaller blocks, such as Q8_0 or F16");
    const bool turned = to_pairs && (w->name.find(".attn_q.") != std::string::npos || w->name.find(".attn_k.") != std::string::npos);
    std::vector<float> row(static_cast<size_t>(w->cols)), other(row.size());
    std::string bytes(static_cast<size_t>(w->rows * row_bytes(to, w->cols)), '\0');
    for (int64_t r = 0; r < w->rows; ++r) {
      const int64_t from = turned && w->rows > 1 ? half_of_pair(r, c.head_size) : r;
      dequantize_row(w->type, static_cast<const char*>(w->data) + from * row_bytes(w->type, w->cols), row.data(), w->cols);
      if (turned && w->rows == 1) {
        for (int64_t i = 0; i < w->cols; ++i) other[static_cast<size_t>(i)] = row[static_cast<size_t>(half_of_pair(i, c.head_size))];
        row.swap(other);
      }
      char* at = bytes.data() + r * row_bytes(to, w->cols);
      if (to == ElementType::kF32) std::memcpy(at, row.data(), row.size() * sizeof(float));
      else quantize_row(to, row.data(), at, w->cols);
    }
    out.add(w->name, w->rows == 1 ? std::vector<int64_t>{w->cols} : std::vector<int64_t>{w->rows, w->cols}, to, std::move(bytes));
  }
}

}  // namespace ingot
