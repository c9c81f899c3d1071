// Packing and tiles for 256-bit registers; the including file chooses the dot product by defining INGOT_DPBUSD for AVX-VNNI.
#pragma once

#include <immintrin.h>

#include "kernels/block_formats.h"
#include "kernels/cpu/quant_lanes.h"

namespace ingot::cpu {
namespace {

// Whole 32-byte results: written in 16-byte pieces they would stall when read back.
inline void load16(const uint8_t* base, const int64_t* offsets, V (&out)[4]) {
  auto row = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + offsets[r])); };
  for (int h = 0; h < 2; ++h) {
    __m256i y[4];  // lane l of y[q] is row 8h + 4l + q
    for (int q = 0; q < 4; ++q) y[q] = _mm256_inserti128_si256(_mm256_castsi128_si256(row(8 * h + q)), row(8 * h + 4 + q), 1);
    __m256i a = _mm256_unpacklo_epi32(y[0], y[1]), b = _mm256_unpackhi_epi32(y[0], y[1]);
    __m256i c = _mm256_unpacklo_epi32(y[2], y[3]), d = _mm256_unpackhi_epi32(y[2], y[3]);
    reinterpret_cast<__m256i*>(&out[0])[h] = _mm256_unpacklo_epi64(a, c);
    reinterpret_cast<__m256i*>(&out[1])[h] = _mm256_unpackhi_epi64(a, c);
    reinterpret_cast<__m256i*>(&out[2])[h] = _mm256_unpacklo_epi64(b, d);
    reinterpret_cast<__m256i*>(&out[3])[h] = _mm256_unpackhi_epi64(b, d);
  }
}

inline VF halves(const V& bits) {
  VF f;
  for (int h = 0; h < 2; ++h) {
    __m256i v = reinterpret_cast<const __m256i*>(&bits)[h];
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08);
    reinterpret_cast<__m256*>(&f)[h] = _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  }
  return f;
}

inline V look_up(const V& nibbles) {
  const __m128i table = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kNonLinear4)), _mm_set1_epi8(-128));
  V out;
  for (int h = 0; h < 2; ++h)
    reinterpret_cast<__m256i*>(&out)[h] =
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), reinterpret_cast<const __m256i*>(&nibbles)[h]);
  return out;
}

}  // namespace
}  // namespace ingot::cpu

#include "kernels/cpu/quant_pack.h"

namespace ingot::cpu {
namespace {

// 4 x 2 integer sums, 2 of W, 1 of x and temporaries fill 16 registers; float sums are touched once a block and live on the stack.
constexpr int kRows = 4;

int32_t four_bytes(const int8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return word;
}

// Dot is exact in each width, so every target's integer sums are the same.
template <Width W>
inline __m256i dot_step(__m256i sum, __m256i w, __m256i x) {
#ifdef INGOT_DPBUSD
  return INGOT_DPBUSD(sum, w, x);
#else
  if constexpr (W == Width::kFour) return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x));  // 8 * 2 * 15 * 127 < 2^15
  __m256i pairs;
  if constexpr (W == Width::kSeven) {
    pairs = _mm256_maddubs_epi16(w, x);
  } else {  // undo the offset of 128: |w| times x with w's sign stays below 2^15
    __m256i s = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
    pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(s), _mm256_sign_epi8(x, s));
  }
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

template <int R, int Sub, bool Minima, Width W>
void tile_group(int g, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
#ifdef INGOT_DPBUSD
  constexpr bool kStartInside = !Minima, kNarrow = false;
#else
  constexpr bool kStartInside = !Minima && W == Width::kSeven, kNarrow = W == Width::kFour;
#endif
  __m256 sum[R][2];
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
    for (int h = 0; h < 2; ++h) sum[i][h] = load ? _mm256_loadu_ps(y + i * ldy + 16 * g + 8 * h) : _mm256_setzero_ps();
  const uint8_t* q = w.quants + g * w.quants_stride;
  const float *s = w.scales + g * w.scales_stride, *m = w.mins + g * w.scales_stride;
  const int8_t* xq = x.quants;
  for (int64_t b = 0; b < blocks; ++b)
    for (int part = 0; part < Sub; ++part) {
      __m256i dot[R][2];
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i)
        dot[i][0] = dot[i][1] = kStartInside ? _mm256_set1_epi32(x.start[(i * x.scales_stride + b) * Sub + part]) : _mm256_setzero_si256();
#pragma GCC unroll 8
      for (int step = 0; step < 8 / Sub; ++step, q += 64, xq += 4) {
        __m256i w0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(q)), w1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(q + 32));
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i) {
          __m256i right = _mm256_set1_epi32(four_bytes(xq + i * x.quants_stride));
          dot[i][0] = dot_step<W>(dot[i][0], w0, right);
          dot[i][1] = dot_step<W>(dot[i][1], w1, right);
        }
      }
      __m256 scale[2] = {_mm256_load_ps(s), _mm256_load_ps(s + 8)};
      s += 16;
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        __m256 d = _mm256_set1_ps(x.scales[i * x.scales_stride + b]);
        for (int h = 0; h < 2; ++h) {
          __m256i whole = dot[i][h];
          if constexpr (kNarrow) {
            whole = _mm256_madd_epi16(whole, _mm256_set1_epi16(1));
            if constexpr (!Minima) whole = _mm256_add_epi32(whole, _mm256_set1_epi32(x.start[(i * x.scales_stride + b) * Sub + part]));
          }
          sum[i][h] = _mm256_fmadd_ps(_mm256_mul_ps(scale[h], d), _mm256_cvtepi32_ps(whole), sum[i][h]);
        }
      }
      if constexpr (Minima) {
        __m256 min[2] = {_mm256_load_ps(m), _mm256_load_ps(m + 8)};
        m += 16;
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i) {
          __m256 total = _mm256_set1_ps(x.sums[(i * x.scales_stride + b) * Sub + part]);
          for (int h = 0; h < 2; ++h) sum[i][h] = _mm256_fmadd_ps(min[h], total, sum[i][h]);
        }
      }
    }
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
    for (int h = 0; h < 2; ++h) _mm256_storeu_ps(y + i * ldy + 16 * g + 8 * h, sum[i][h]);
}

template <int Sub, bool Minima, Width W>
void tile_form(int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  for (int g = 0; g < 2; ++g) {
    switch (rows) {
      case 1: tile_group<1, Sub, Minima, W>(g, blocks, w, x, y, ldy, load); break;
      case 2: tile_group<2, Sub, Minima, W>(g, blocks, w, x, y, ldy, load); break;
      case 3: tile_group<3, Sub, Minima, W>(g, blocks, w, x, y, ldy, load); break;
      default: tile_group<4, Sub, Minima, W>(g, blocks, w, x, y, ldy, load); break;
    }
  }
}

void tile_256(const QuantForm& form, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  if (form.sub == 2)
    return form.minima ? tile_form<2, true, Width::kSeven>(rows, blocks, w, x, y, ldy, load)
                       : tile_form<2, false, Width::kSeven>(rows, blocks, w, x, y, ldy, load);
  if (form.minima)
    return form.width == Width::kFour ? tile_form<1, true, Width::kFour>(rows, blocks, w, x, y, ldy, load)
                                      : tile_form<1, true, Width::kSeven>(rows, blocks, w, x, y, ldy, load);
  switch (form.width) {
    case Width::kFour: return tile_form<1, false, Width::kFour>(rows, blocks, w, x, y, ldy, load);
    case Width::kSeven: return tile_form<1, false, Width::kSeven>(rows, blocks, w, x, y, ldy, load);
    case Width::kEight: return tile_form<1, false, Width::kEight>(rows, blocks, w, x, y, ldy, load);
  }
}

}  // namespace
}  // namespace ingot::cpu
