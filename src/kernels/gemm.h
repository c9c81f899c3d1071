// Dense matrix products in row-major storage.
#pragma once

#include <cstdint>

#include "core/threads.h"

namespace ingot {

enum class Transpose { kNo, kYes };

// C[m,n] = op(A)[m,k] op(B)[k,n] (+ C when `accumulate`). ld* are row strides in elements of the matrix as stored:
// A is [m,k] for kNo and [k,m] for kYes, B is [k,n] for kNo and [n,k] for kYes. C must not overlap A or B.
// Each element of C is one chain of fused multiply-adds over k in rising order, so it does not depend on m, n, blocking or threads.
void gemm_f32(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
              float* c, int64_t ldc, bool accumulate, ThreadTeam& team);

// The same with A and B rounded to bfloat16 (nearest even) on their way, and f32 accumulation. Where the target has bf16 products an
// element is its own chain over pairs of k; it still depends on neither m, n, blocking nor threads.
void gemm_bf16(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
               float* c, int64_t ldc, bool accumulate, ThreadTeam& team);

}  // namespace ingot
