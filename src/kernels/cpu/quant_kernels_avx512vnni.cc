#include "kernels/cpu/quant_panel.h"
#include "kernels/cpu/quant_stream.h"

namespace ingot::cpu {
namespace {

// 6 x 2 integer and 6 x 2 float sums, 2 of W, 1 of x: 27 of 32 registers.
constexpr int kRows = 6;

template <int R, int Sub, bool Minima>
void tile_rows(int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  __m512 sum[R][2];
#pragma GCC unroll 6
  for (int i = 0; i < R; ++i)
    for (int g = 0; g < 2; ++g) sum[i][g] = load ? _mm512_loadu_ps(y + i * ldy + 16 * g) : _mm512_setzero_ps();
  const uint8_t *q0 = w.quants, *q1 = w.quants + w.quants_stride;
  const float *s0 = w.scales, *s1 = w.scales + w.scales_stride;
  const float *m0 = w.mins, *m1 = w.mins + w.scales_stride;
  const int8_t* xq = x.quants;
  const std::byte* ahead = w.ahead;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int line = 0; line < 2 * w.ahead_lines; ++line, ahead += 64) __builtin_prefetch(ahead, 0, 2);
#pragma GCC unroll 2
    for (int part = 0; part < Sub; ++part) {
      __m512i dot[R][2];
#pragma GCC unroll 6
      for (int i = 0; i < R; ++i)
        dot[i][0] = dot[i][1] = _mm512_set1_epi32(x.start[(i * x.scales_stride + b) * Sub + part]);
#pragma GCC unroll 8
      for (int step = 0; step < 8 / Sub; ++step, q0 += 64, q1 += 64, xq += 4) {
        __m512i w0 = _mm512_load_si512(q0), w1 = _mm512_load_si512(q1);
#pragma GCC unroll 6
        for (int i = 0; i < R; ++i) {
          __m512i right = _mm512_set1_epi32(four_bytes(xq + i * x.quants_stride));
          dot[i][0] = _mm512_dpbusd_epi32(dot[i][0], w0, right);
          dot[i][1] = _mm512_dpbusd_epi32(dot[i][1], w1, right);
        }
      }
      __m512 scale0 = _mm512_load_ps(s0), scale1 = _mm512_load_ps(s1);
      s0 += 16, s1 += 16;
#pragma GCC unroll 6
      for (int i = 0; i < R; ++i) {
        __m512 d = _mm512_set1_ps(x.scales[i * x.scales_stride + b]);
        sum[i][0] = _mm512_fmadd_ps(_mm512_mul_ps(scale0, d), _mm512_cvtepi32_ps(dot[i][0]), sum[i][0]);
        sum[i][1] = _mm512_fmadd_ps(_mm512_mul_ps(scale1, d), _mm512_cvtepi32_ps(dot[i][1]), sum[i][1]);
      }
      if constexpr (Minima) {
        __m512 min0 = _mm512_load_ps(m0), min1 = _mm512_load_ps(m1);
        m0 += 16, m1 += 16;
#pragma GCC unroll 6
        for (int i = 0; i < R; ++i) {
          __m512 s = _mm512_set1_ps(x.sums[(i * x.scales_stride + b) * Sub + part]);
          sum[i][0] = _mm512_fmadd_ps(min0, s, sum[i][0]);
          sum[i][1] = _mm512_fmadd_ps(min1, s, sum[i][1]);
        }
      }
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < R; ++i)
    for (int g = 0; g < 2; ++g) _mm512_storeu_ps(y + i * ldy + 16 * g, sum[i][g]);
}

template <int Sub, bool Minima>
void tile_form(int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  switch (rows) {
    case 1: return tile_rows<1, Sub, Minima>(blocks, w, x, y, ldy, load);
    case 2: return tile_rows<2, Sub, Minima>(blocks, w, x, y, ldy, load);
    case 3: return tile_rows<3, Sub, Minima>(blocks, w, x, y, ldy, load);
    case 4: return tile_rows<4, Sub, Minima>(blocks, w, x, y, ldy, load);
    case 5: return tile_rows<5, Sub, Minima>(blocks, w, x, y, ldy, load);
    default: return tile_rows<6, Sub, Minima>(blocks, w, x, y, ldy, load);
  }
}

// With one group the second reads the first again and its results go nowhere.
void tile(const QuantForm& form, int groups, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  Panel p = w;
  alignas(64) float both[kRows * 32];
  float* to = y;
  if (groups == 1) {
    p.quants_stride = p.scales_stride = 0;
    to = both;
    if (load)
      for (int i = 0; i < rows; ++i) std::memcpy(both + 32 * i, y + i * ldy, 64), std::memcpy(both + 32 * i + 16, y + i * ldy, 64);
  }
  const int64_t ld = groups == 1 ? 32 : ldy;
  if (form.sub == 1)
    form.minima ? tile_form<1, true>(rows, blocks, p, x, to, ld, load) : tile_form<1, false>(rows, blocks, p, x, to, ld, load);
  else
    form.minima ? tile_form<2, true>(rows, blocks, p, x, to, ld, load) : tile_form<2, false>(rows, blocks, p, x, to, ld, load);
  if (groups == 1)
    for (int i = 0; i < rows; ++i) std::memcpy(y + i * ldy, both + 32 * i, 64);
}

}  // namespace

const QuantKernels& quant_kernels_avx512vnni() {
  static constexpr QuantKernels kernels = {kRows, kStreamRows, kSums, false, pack_panel, expand_panel, interleave, tile, stream};
  return kernels;
}

}  // namespace ingot::cpu
