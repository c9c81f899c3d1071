#include <immintrin.h>

#include <utility>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/float_stream.h"
#include "kernels/cpu/transpose_avx512.h"

namespace ingot::cpu {
namespace {

// 32 registers: 12 x 2 sums, 2 of B, the broadcasts of A and a few to run ahead. 24 chains hide 4 cycles of latency on 2 pipes.
constexpr int kRows = 12, kColumns = 32;

template <int R>
void tile_rows(int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, bool load) {
  __m512 sum[R][2];
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(c + i * ldc), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(c + i * ldc + 16), _MM_HINT_T0);
    sum[i][0] = load ? _mm512_loadu_ps(c + i * ldc) : _mm512_setzero_ps();
    sum[i][1] = load ? _mm512_loadu_ps(c + i * ldc + 16) : _mm512_setzero_ps();
  }
  for (int64_t p = 0; p < k; ++p, a += a_step, b += kColumns) {
    __m512 b0 = _mm512_load_ps(b), b1 = _mm512_load_ps(b + 16);
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i) {
      __m512 left = _mm512_set1_ps(a[i]);
      sum[i][0] = _mm512_fmadd_ps(left, b0, sum[i][0]);
      sum[i][1] = _mm512_fmadd_ps(left, b1, sum[i][1]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < R; ++i) {
    _mm512_storeu_ps(c + i * ldc, sum[i][0]);
    _mm512_storeu_ps(c + i * ldc + 16, sum[i][1]);
  }
}

void tile(int rows, int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, bool load) {
  using Fn = void (*)(int64_t, const float*, int64_t, const float*, float*, int64_t, bool);
  static constexpr Fn by_rows[kRows] = {tile_rows<1>, tile_rows<2>, tile_rows<3>, tile_rows<4>,  tile_rows<5>,  tile_rows<6>,
                                        tile_rows<7>, tile_rows<8>, tile_rows<9>, tile_rows<10>, tile_rows<11>, tile_rows<12>};
  by_rows[rows - 1](k, a, a_step, b, c, ldc, load);
}

void pack_rows(const float* src, int64_t ld, int rows, int64_t k, int width, float* out) {
  for (int first = 0; first < width; first += 16) {
    int here = rows - first, lanes = width - first < 16 ? width - first : 16;
    __mmask16 keep = static_cast<__mmask16>((1u << lanes) - 1);
    for (int64_t p = 0; p < k; p += 16) {
      int steps = static_cast<int>(k - p < 16 ? k - p : 16);
      __mmask16 valid = static_cast<__mmask16>((1u << steps) - 1);
      __m512i r[16];
      if (here >= 16 && steps == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(src + (first + i) * ld + p);
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) r[i] = i < here ? _mm512_maskz_loadu_epi32(valid, src + (first + i) * ld + p) : _mm512_setzero_si512();
      }
      transpose16(r);
      float* to = out + p * width + first;
      if (lanes == 16 && steps == 16) {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * width, r[i]);
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i)
          if (i < steps) _mm512_mask_storeu_epi32(to + i * width, keep, r[i]);
      }
    }
  }
}

void pack_columns(const float* src, int64_t ld, int columns, int64_t k, int width, float* out) {
  for (int first = 0; first < width; first += 16) {
    int have = columns - first < 0 ? 0 : columns - first > 16 ? 16 : columns - first, lanes = width - first < 16 ? width - first : 16;
    __mmask16 read = static_cast<__mmask16>((1u << have) - 1), write = static_cast<__mmask16>((1u << lanes) - 1);
    for (int64_t p = 0; p < k; ++p)
      _mm512_mask_storeu_ps(out + p * width + first, write, _mm512_maskz_loadu_ps(read, src + p * ld + first));
  }
}

void from_f16(const uint16_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    __mmask16 valid = static_cast<__mmask16>(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
    _mm512_mask_storeu_ps(dst + i, valid, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(valid, src + i)));
  }
}

void from_bf16(const uint16_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    __mmask16 valid = static_cast<__mmask16>(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
    __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(valid, src + i)), 16);
    _mm512_mask_storeu_ps(dst + i, valid, _mm512_castsi512_ps(wide));
  }
}

}  // namespace

const FloatKernels& float_kernels_avx512() {
  static constexpr FloatKernels kernels = {kRows, kColumns, tile, pack_rows, pack_columns, from_f16, from_bf16, kStreamedRows, stream};
  return kernels;
}

}  // namespace ingot::cpu
