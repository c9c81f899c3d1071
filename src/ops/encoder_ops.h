// Operations that encoders need beside those of decoders. Inference only: none records a gradient.
#pragma once

#include <span>

#include "ops/context.h"
#include "ops/weight.h"

namespace ingot {

// Ba 2016; both vectors as wide as x.
Tensor layer_norm(const Context& c, Tensor x, const Weight& weight, const Weight& bias, float epsilon);

// x Phi(x) with the normal distribution itself, not its tanh approximation (Hendrycks and Gimpel 2016). In place.
void gelu(const Context& c, Tensor x);

// Every row sees all rows of its own sequence: q, k, v [n, H*d], sequences of lengths[i] rows one after the other -> [n, H*d].
Tensor attend_whole(const Context& c, Tensor q, Tensor k, Tensor v, int64_t head_size, std::span<const int32_t> lengths, float scale);

}  // namespace ingot
