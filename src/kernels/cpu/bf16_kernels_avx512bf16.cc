#include <immintrin.h>

#include "kernels/cpu/bf16_pack_avx512.h"
#include "kernels/cpu/float_kernels.h"

namespace ingot::cpu {
namespace {

constexpr int kRows = 12, kColumns = 32;

__m512bh pairs_of(__m512i v) { return reinterpret_cast<__m512bh>(v); }

template <int R>
void tile_rows(int64_t pairs, const uint16_t* a, const uint16_t* b, float* c, int64_t ldc, bool load) {
  __m512 sum[R][2];
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
    sum[i][0] = load ? _mm512_loadu_ps(c + i * ldc) : _mm512_setzero_ps();
    sum[i][1] = load ? _mm512_loadu_ps(c + i * ldc + 16) : _mm512_setzero_ps();
  }
  const auto* left = reinterpret_cast<const int*>(a);
  for (int64_t p = 0; p < pairs; ++p, left += kRows, b += 2 * kColumns) {
    __m512bh b0 = pairs_of(_mm512_load_si512(b)), b1 = pairs_of(_mm512_load_si512(b + kColumns));
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i) {
      __m512bh pair = pairs_of(_mm512_set1_epi32(left[i]));
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, b0);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, b1);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
    _mm512_storeu_ps(c + i * ldc, sum[i][0]);
    _mm512_storeu_ps(c + i * ldc + 16, sum[i][1]);
  }
}

void tile(int rows, int64_t pairs, const uint16_t* a, const uint16_t* b, float* c, int64_t ldc, bool load) {
  using Fn = void (*)(int64_t, const uint16_t*, const uint16_t*, float*, int64_t, bool);
  static constexpr Fn by_rows[kRows] = {tile_rows<1>, tile_rows<2>, tile_rows<3>, tile_rows<4>,  tile_rows<5>,  tile_rows<6>,
                                        tile_rows<7>, tile_rows<8>, tile_rows<9>, tile_rows<10>, tile_rows<11>, tile_rows<12>};
  by_rows[rows - 1](pairs, a, b, c, ldc, load);
}

}  // namespace

const Bf16Kernels& bf16_kernels_avx512bf16() {
  static constexpr Bf16Kernels kernels = {kRows, kColumns, 2, kColumns, tile, pack_pairs_of_rows<2>, pack_pairs_of_columns<2>, pack_pairs_of_rows<2>, pack_pairs_of_columns<2>};
  return kernels;
}

}  // namespace ingot::cpu
