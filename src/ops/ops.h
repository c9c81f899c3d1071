// The operations that transformers are written in. Each checks shapes, computes, and records its gradient when the context has a
// tape. Row r of every result depends on row r (and what it attends to) alone, in an order that its company does not change.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "ops/context.h"
#include "ops/weight.h"

namespace ingot {

// table [V, D] -> [n, D]. REQUIRES: every id is in [0, V).
Tensor embed(const Context& c, const Weight& table, std::span<const int32_t> ids);

// x [n, in] W [out, in]^T -> [n, out], and W's low-rank part. bias may be empty. A frozen W may be of any stored type.
Tensor linear(const Context& c, Tensor x, const Weight& w, const Weight& bias = {});

// Several products of the same x. The same as one after the other; without a tape x is quantised once and the threads meet once.
struct Linear {
  const Weight& weight;
  const Weight& bias;
};
void linears(const Context& c, Tensor x, std::span<const Linear> parts, Tensor* out);
template <size_t N>
std::array<Tensor, N> linears(const Context& c, Tensor x, const Linear (&parts)[N]) {
  std::array<Tensor, N> out;
  linears(c, x, parts, out.data());
  return out;
}

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

// Causal attention within sequences that follow each other: sequence i has the rows [starts[i], starts[i + 1]). q [n, H*d], k and v
// [n, G*d], H a multiple of G -> [n, H*d]. Nothing is cached; this is the form that training uses.
// REQUIRES: starts ascends from 0 to n.
Tensor attend_dense(const Context& c, Tensor q, Tensor k, Tensor v, int64_t head_size, std::span<const int64_t> starts, float scale);
// The same with sequences of `length` rows each.
Tensor attend_dense(const Context& c, Tensor q, Tensor k, Tensor v, int64_t head_size, int64_t length, float scale);

// block(x) whose intermediate results are forgotten; the tape runs the block again for its gradient (Chen 2016). The result and the
// gradients are those of block(x) itself. REQUIRES: c.tape; whatever the block refers to lives until the tape has run.
Tensor recomputed(const Context& c, Tensor x, std::function<Tensor(const Context& c, Tensor x)> block);

// Mean cross-entropy of x W^T against targets, times `weight`; targets below 0 do not count towards it, and their rows cost nothing.
// With a tape the gradients of x and W are computed at once, block by block, so that [n, V] logits never exist. Returns the sum of
// losses in nats, not the mean; `count` receives how many targets counted.
double head_loss(const Context& c, Tensor x, const Weight& w, std::span<const int32_t> targets, float weight, int64_t* count = nullptr);

// What a teacher said at each row: its k likeliest tokens and their logits (of any common shift).
struct TeacherRows {
  int64_t k = 0;
  const int32_t* tokens = nullptr;  // [n, k]; rows whose target is below 0 are not read
  const float* logits = nullptr;    // [n, k]
};

// Hinton 2015: `soft` parts of temperature^2 KL(teacher || student) over the teacher's k tokens, both softened by `temperature`, and
// 1 - soft parts of the cross-entropy against targets. Otherwise as head_loss; the sum that is returned is of this mixture.
double head_distil(const Context& c, Tensor x, const Weight& w, std::span<const int32_t> targets, const TeacherRows& teacher, float soft,
                   float temperature, float weight, int64_t* count = nullptr);

}  // namespace ingot
