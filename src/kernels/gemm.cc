#include "kernels/gemm.h"

#include <algorithm>

#include "tensor/element_type.h"

namespace ingot {
namespace {

template <class T, float (*Read)(T)>
void gemm(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, float* c,
          int64_t ldc, bool accumulate, ThreadTeam& team) {
  team.parallel_for(static_cast<size_t>(m), 1, [&](size_t begin, size_t end) {
    for (int64_t i = static_cast<int64_t>(begin); i < static_cast<int64_t>(end); ++i) {
      float* row = c + i * ldc;
      if (!accumulate) std::fill_n(row, n, 0.0f);
      for (int64_t p = 0; p < k; ++p) {
        float left = Read(ta == Transpose::kNo ? a[i * lda + p] : a[p * lda + i]);
        if (tb == Transpose::kNo)
          for (int64_t j = 0; j < n; ++j) row[j] += left * Read(b[p * ldb + j]);
        else
          for (int64_t j = 0; j < n; ++j) row[j] += left * Read(b[j * ldb + p]);
      }
    }
  });
}

float same(float v) { return v; }

}  // namespace

void gemm_f32(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
              float* c, int64_t ldc, bool accumulate, ThreadTeam& team) {
  gemm<float, same>(ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
}

void gemm_bf16(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const uint16_t* a, int64_t lda, const uint16_t* b,
               int64_t ldb, float* c, int64_t ldc, bool accumulate, ThreadTeam& team) {
  gemm<uint16_t, f32_of_bf16>(ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
}

}  // namespace ingot
