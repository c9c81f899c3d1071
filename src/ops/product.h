// The dense products that operations with trained weights share.
#pragma once

#include "kernels/gemm.h"
#include "ops/context.h"
#include "ops/weight.h"

namespace ingot {

// gemm_f32, or with c.bf16 the same in bf16 with f32 sums.
void product(const Context& c, Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float* out, int64_t ldc, bool accumulate);

// x.grad += y.grad W for a frozen W of a stored type, a strip of W's rows at a time.
void input_gradient_stored(const Context& c, const Weight& w, const Tensor& y, const Tensor& x);

}  // namespace ingot
