// f32 matrices into panels of bf16, rounded to nearest even; included only by files compiled for AVX-512 BF16.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/transpose_avx512.h"

namespace ingot::cpu {
namespace {

inline __mmask16 first_lanes(int64_t count) { return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1u << count) - 1); }

// 32 consecutive k of one row, zeros beyond the first `valid`.
inline __m512i bf16_row(const float* src, int64_t valid) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(first_lanes(valid - 16), src + 16), _mm512_maskz_loadu_ps(first_lanes(valid), src)));
}

// Pairs (even, odd) of up to 16 columns of two successive k; `odd` null: zeros.
inline __m512i bf16_pairs(const float* even, const float* odd, __mmask16 columns) {
  const __m512 high = odd ? _mm512_maskz_loadu_ps(columns, odd) : _mm512_setzero_ps();
  const __m512i low_half = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(columns, even))));
  const __m512i high_half = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(high)));
  return _mm512_or_si512(low_half, _mm512_slli_epi32(high_half, 16));
}

// out[(p/2*width + r)*2 + p%2] = src[r*ld + p], with zeros beyond `rows` and up to the next multiple of Unit (2 or 32) of k.
template <int Unit>
void pack_pairs_of_rows(const float* src, int64_t ld, int rows, int64_t k, int width, uint16_t* out) {
  auto* to = reinterpret_cast<uint32_t*>(out);
  for (int first = 0; first < width; first += 16) {
    const int here = rows - first;
    const __mmask16 keep = first_lanes(width - first);
    for (int64_t p = 0; p < k; p += 32) {
      const int steps = static_cast<int>(Unit == 32 || k - p >= 32 ? 16 : (k - p + 1) / 2);
      __m512i r[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) r[i] = i < here ? bf16_row(src + (first + i) * ld + p, k - p) : _mm512_setzero_si512();
      transpose16(r);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        if (i < steps) _mm512_mask_storeu_epi32(to + (p / 2 + i) * width + first, keep, r[i]);
    }
  }
}

// out[(p/2*width + j)*2 + p%2] = src[p*ld + j], with zeros as above.
template <int Unit>
void pack_pairs_of_columns(const float* src, int64_t ld, int columns, int64_t k, int width, uint16_t* out) {
  auto* to = reinterpret_cast<uint32_t*>(out);
  for (int first = 0; first < width; first += 16) {
    const __mmask16 read = first_lanes(columns - first), write = first_lanes(width - first);
    int64_t p = 0;
    for (; p < k; p += 2) {
      const float* even = src + p * ld + first;
      _mm512_mask_storeu_epi32(to + p / 2 * width + first, write, bf16_pairs(even, p + 1 < k ? even + ld : nullptr, read));
    }
    for (; p % Unit; p += 2) _mm512_mask_storeu_epi32(to + p / 2 * width + first, write, _mm512_setzero_si512());
  }
}

}  // namespace
}  // namespace ingot::cpu
