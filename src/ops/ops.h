// The operations that transformers are written in. Each checks shapes, computes, and records its gradient when the context has a
// tape. Row r of every result depends on row r (and what it attends to) alone, in an order that its company does not change.
#pragma once

#include <cstdint>
#include <span>

#include "ops/context.h"
#include "ops/weight.h"

namespace ingot {

// table [V, D] -> [n, D]. REQUIRES: every id is in [0, V).
Tensor embed(const Context& c, const Weight& table, std::span<const int32_t> ids);

// x [n, in] W [out, in]^T -> [n, out]. bias may be empty. A frozen W may be of any stored type.
Tensor linear(const Context& c, Tensor x, const Weight& w, const Weight& bias = {});

Tensor add(const Context& c, Tensor a, Tensor b);
Tensor scale(const Context& c, Tensor x, float by);

// Zhang and Sennrich 2019. With cols = k * weight.cols each of the k parts of a row is normed by itself (heads).
Tensor rms_norm(const Context& c, Tensor x, const Weight& weight, float epsilon);

// silu(gate) * up, elementwise (Shazeer 2020).
Tensor swiglu(const Context& c, Tensor gate, Tensor up);

// The same with the tanh approximation of gelu on the gate.
Tensor geglu(const Context& c, Tensor gate, Tensor up);

// cap tanh(x / cap), in place; inference only.
void soft_cap(const Context& c, Tensor x, float cap);

// Rotary positions (Su 2021). kPairs turns (0,1), (2,3), ... as GGUF's llama stores it; kHalves turns (i, i + d/2) as Hugging Face does.
enum class RopeLayout { kPairs, kHalves };
// Dynamic scaling: past the context that a model was trained for, the base grows with the position. A row's turn depends on its own
// position alone, as when tokens come one by one.
struct RopeGrowth {
  double base = 0, factor = 0;
  int64_t trained = 0;  // 0: none
};
struct Rope {
  RopeLayout layout = RopeLayout::kPairs;
  int64_t dims = 0;                     // leading elements of a head that turn; even
  const float* inverse_frequency = nullptr;  // [dims/2], scaling included
  float magnitude = 1;                  // YaRN's factor on cos and sin
  RopeGrowth growth{};
};
// x [n, heads * head_size], one position a row.
Tensor rotate(const Context& c, Tensor x, int64_t head_size, const Rope& rope, std::span<const int32_t> positions);

// Causal attention within sequences of `length` consecutive rows: q [n, H*d], k and v [n, G*d], H a multiple of G -> [n, H*d].
// Nothing is cached; this is the form that training uses.
Tensor attend_dense(const Context& c, Tensor q, Tensor k, Tensor v, int64_t head_size, int64_t length, float scale);

// Mean cross-entropy of x W^T against targets, times `weight`; targets below 0 do not count towards it. With a tape the gradients of
// x and W are computed at once, block by block, so that [n, V] logits never exist. Returns the sum of losses in nats, not the mean;
// `count` receives how many targets counted.
double head_loss(const Context& c, Tensor x, const Weight& w, std::span<const int32_t> targets, float weight, int64_t* count = nullptr);

}  // namespace ingot
