// The tile for 256-bit registers; the including file chooses the dot product by defining INGOT_DPBUSD for AVX-VNNI.
#pragma once

#include "kernels/cpu/quant_panel.h"
#include "kernels/cpu/quant_stream.h"

namespace ingot::cpu {
namespace {

// 4 x 2 integer sums, 2 of W, 1 of x and temporaries fill 16 registers; float sums are touched once a block and live on the stack.
constexpr int kRows = 4;

// Signed bytes go into the products as they stand only where nothing has to make them unsigned first.
constexpr bool kEightAsStored = kSums == Sums::kPairs;

template <int R, int Sub, bool Minima, Width W, bool AsStored>
void tile_group(int g, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  __m256 sum[R][2];
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
    for (int h = 0; h < 2; ++h) sum[i][h] = load ? _mm256_loadu_ps(y + i * ldy + 16 * g + 8 * h) : _mm256_setzero_ps();
  const uint8_t* q = w.quants + g * w.quants_stride;
  const float *s = w.scales + g * w.scales_stride, *m = w.mins + g * w.scales_stride;
  const int8_t* xq = x.quants;
  const std::byte* ahead = w.ahead + g * blocks * w.ahead_lines * 64;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int line = 0; line < w.ahead_lines; ++line, ahead += 64) __builtin_prefetch(ahead, 0, 2);
    for (int part = 0; part < Sub; ++part) {
      const uint8_t* halves = q;
      if constexpr (AsStored) q += 32;
      __m256i dot[R][2];
      const int32_t* start = x.start + b * Sub + part;
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) dot[i][0] = dot[i][1] = _mm256_set1_epi32(start[i * x.scales_stride * Sub]);
#pragma GCC unroll 8
      for (int step = 0; step < 8 / Sub; ++step, q += 64, xq += 4) {
        __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q)), w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q + 32));
#pragma GCC unroll 4
        for (int i = 0; i < R; ++i) {
          __m256i right = _mm256_set1_epi32(four_bytes(xq + i * x.quants_stride));
          dot[i][0] = dot_half<W>(dot[i][0], w0, right);
          dot[i][1] = dot_half<W>(dot[i][1], w1, right);
        }
      }
      F16x scale;
      if constexpr (AsStored) scale = cpu::load(reinterpret_cast<const uint16_t*>(halves));
      else scale = cpu::load(s), s += 16;
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        __m256 d = _mm256_set1_ps(x.scales[i * x.scales_stride + b]);
        __m256i from = _mm256_set1_epi32(start[i * x.scales_stride * Sub]);
        for (int h = 0; h < 2; ++h)
          sum[i][h] = _mm256_fmadd_ps(_mm256_mul_ps(scale.v[h], d), _mm256_cvtepi32_ps(dot_end_half<W>(dot[i][h], from)), sum[i][h]);
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
  }
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
    for (int h = 0; h < 2; ++h) _mm256_storeu_ps(y + i * ldy + 16 * g + 8 * h, sum[i][h]);
}

template <int Sub, bool Minima, Width W, bool AsStored = false>
void tile_form(int groups, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  for (int g = 0; g < groups; ++g) {
    switch (rows) {
      case 1: tile_group<1, Sub, Minima, W, AsStored>(g, blocks, w, x, y, ldy, load); break;
      case 2: tile_group<2, Sub, Minima, W, AsStored>(g, blocks, w, x, y, ldy, load); break;
      case 3: tile_group<3, Sub, Minima, W, AsStored>(g, blocks, w, x, y, ldy, load); break;
      default: tile_group<4, Sub, Minima, W, AsStored>(g, blocks, w, x, y, ldy, load); break;
    }
  }
}

void tile_256(const QuantForm& form, int groups, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy,
              bool load) {
  if (kEightAsStored && !w.scales) return tile_form<1, false, Width::kSigned, kEightAsStored>(groups, rows, blocks, w, x, y, ldy, load);
  if (form.sub == 2)
    return form.minima ? tile_form<2, true, Width::kNarrow>(groups, rows, blocks, w, x, y, ldy, load)
                       : tile_form<2, false, Width::kNarrow>(groups, rows, blocks, w, x, y, ldy, load);
  if (form.minima)
    return form.width == Width::kNarrow ? tile_form<1, true, Width::kNarrow>(groups, rows, blocks, w, x, y, ldy, load)
                                        : tile_form<1, true, Width::kLifted>(groups, rows, blocks, w, x, y, ldy, load);
  return form.width == Width::kNarrow ? tile_form<1, false, Width::kNarrow>(groups, rows, blocks, w, x, y, ldy, load)
                                      : tile_form<1, false, Width::kSigned>(groups, rows, blocks, w, x, y, ldy, load);
}

constexpr QuantKernels kKernels256 = {kRows, kStreamRows, kSums, kEightAsStored, pack_panel, expand_panel, interleave, tile_256, stream};

}  // namespace
}  // namespace ingot::cpu
