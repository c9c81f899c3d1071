#include <immintrin.h>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/transpose_avx512.h"

namespace ingot::cpu {
namespace {

constexpr int kRows = 12, kColumns = 32;

__m512bh pairs_of(__m512i v) { return reinterpret_cast<__m512bh>(v); }

template <int R>
void tile_rows(int64_t pairs, const uint16_t* a, int64_t a_step, const uint16_t* b, float* c, int64_t ldc, bool load) {
  __m512 sum[R][2];
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
    sum[i][0] = load ? _mm512_loadu_ps(c + i * ldc) : _mm512_setzero_ps();
    sum[i][1] = load ? _mm512_loadu_ps(c + i * ldc + 16) : _mm512_setzero_ps();
  }
  const auto* left = reinterpret_cast<const int*>(a);
  for (int64_t p = 0; p < pairs; ++p, left += a_step, b += 2 * kColumns) {
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

void tile(int rows, int64_t pairs, const uint16_t* a, int64_t a_step, const uint16_t* b, float* c, int64_t ldc, bool load) {
  using Fn = void (*)(int64_t, const uint16_t*, int64_t, const uint16_t*, float*, int64_t, bool);
  static constexpr Fn by_rows[kRows] = {tile_rows<1>, tile_rows<2>, tile_rows<3>, tile_rows<4>,  tile_rows<5>,  tile_rows<6>,
                                        tile_rows<7>, tile_rows<8>, tile_rows<9>, tile_rows<10>, tile_rows<11>, tile_rows<12>};
  by_rows[rows - 1](pairs, a, a_step, b, c, ldc, load);
}

// A row of pairs is a row of 32-bit lanes, so the float transpose serves.
void pack_rows(const uint16_t* src, int64_t ld, int rows, int64_t k, int width, uint16_t* out) {
  auto* to = reinterpret_cast<uint32_t*>(out);
  for (int first = 0; first < width; first += 16) {
    int here = rows - first, lanes = width - first < 16 ? width - first : 16;
    __mmask16 keep = static_cast<__mmask16>((1u << lanes) - 1);
    for (int64_t p = 0; p < k; p += 32) {
      int64_t left = k - p;
      __mmask32 valid = left >= 32 ? 0xffffffffu : (1u << left) - 1;
      int steps = static_cast<int>(left >= 32 ? 16 : (left + 1) / 2);
      __m512i r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) r[i] = i < here ? _mm512_maskz_loadu_epi16(valid, src + (first + i) * ld + p) : _mm512_setzero_si512();
      transpose16(r);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        if (i < steps) _mm512_mask_storeu_epi32(to + (p / 2 + i) * width + first, keep, r[i]);
    }
  }
}

void pack_columns(const uint16_t* src, int64_t ld, int columns, int64_t k, int width, uint16_t* out) {
  auto* to = reinterpret_cast<uint32_t*>(out);
  for (int first = 0; first < width; first += 16) {
    int have = columns - first < 0 ? 0 : columns - first > 16 ? 16 : columns - first, lanes = width - first < 16 ? width - first : 16;
    __mmask16 read = static_cast<__mmask16>((1u << have) - 1), write = static_cast<__mmask16>((1u << lanes) - 1);
    for (int64_t p = 0; p < k; p += 2) {
      __m512i even = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(read, src + p * ld + first));
      __m512i odd = p + 1 < k ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(read, src + (p + 1) * ld + first)) : _mm512_setzero_si512();
      _mm512_mask_storeu_epi32(to + p / 2 * width + first, write, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
    }
  }
}

}  // namespace

const Bf16Kernels& bf16_kernels_avx512bf16() {
  static constexpr Bf16Kernels kernels = {kRows, kColumns, tile, pack_rows, pack_columns};
  return kernels;
}

}  // namespace ingot::cpu
