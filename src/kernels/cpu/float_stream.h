// Rows of x times interleaved float weights, read as they lie: groups of 16 rows, element p of all 16 side by side. One fused chain over
// p an element, as the tiles of float_kernels have it, so the bits are the same.
#pragma once

#include <algorithm>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/vector16.h"

namespace ingot::cpu {
namespace {

// Sums that are kept in registers: 12 of AVX2's 16 (a vector of 16 is two), 24 of AVX-512's 32; a broadcast and the weights need the rest.
#if defined(__AVX512F__)
constexpr int kStreamedRows = 12;
constexpr int groups_across(int rows) { return rows == 1 ? 8 : rows == 2 ? 4 : 2; }
#else
constexpr int kStreamedRows = 6;
constexpr int groups_across(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }  // one row alone: eight chains hide their latency
#endif

struct AsF32 {
  using T = float;
  static F16x at(const T* p) { return load(p); }
};
struct AsF16 {
  using T = uint16_t;
  static F16x at(const T* p) { return load(p); }
};
struct AsBf16 {
  using T = uint16_t;
  static F16x at(const T* p) { return load_bf16(p); }
};

template <class As, int R, int N>
void stream_floats(const typename As::T* w, int64_t step, int64_t k, const float* x, int64_t ldx, float* y, int64_t ldy, bool go_on) {
  F16x sum[R][N];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int g = 0; g < N; ++g) sum[r][g] = go_on ? load(y + r * ldy + 16 * g) : zero();
  for (int64_t p = 0; p < k; ++p) {
    F16x b[N];
#pragma GCC unroll 8
    for (int g = 0; g < N; ++g) b[g] = As::at(w + g * step + p * 16);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const F16x a = splat(x[r * ldx + p]);
#pragma GCC unroll 8
      for (int g = 0; g < N; ++g) sum[r][g] = fma(a, b[g], sum[r][g]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int g = 0; g < N; ++g) store(y + r * ldy + 16 * g, sum[r][g]);
}

template <class As, int R>
void stream_rows(const typename As::T* w, int64_t step, int groups, int64_t k, const float* x, int64_t ldx, float* y, int64_t ldy, bool go_on) {
  constexpr int kAtOnce = groups_across(R);
  int g = 0;
  for (; g + kAtOnce <= groups; g += kAtOnce) stream_floats<As, R, kAtOnce>(w + g * step, step, k, x, ldx, y + 16 * g, ldy, go_on);
  for (; g < groups; ++g) stream_floats<As, R, 1>(w + g * step, step, k, x, ldx, y + 16 * g, ldy, go_on);
}

template <class As, int R = kStreamedRows>
void stream_as(const void* w, int64_t step, int groups, int rows, int64_t k, const float* x, int64_t ldx, float* y, int64_t ldy, bool go_on) {
  if (rows == R) return stream_rows<As, R>(static_cast<const typename As::T*>(w), step, groups, k, x, ldx, y, ldy, go_on);
  if constexpr (R > 1) stream_as<As, R - 1>(w, step, groups, rows, k, x, ldx, y, ldy, go_on);
}

void stream(ElementType type, const void* w, int64_t step, int groups, int rows, int64_t k, const float* x, int64_t ldx, float* y, int64_t ldy, bool go_on) {
  if (type == ElementType::kF32) return stream_as<AsF32>(w, step, groups, rows, k, x, ldx, y, ldy, go_on);
  if (type == ElementType::kF16) return stream_as<AsF16>(w, step, groups, rows, k, x, ldx, y, ldy, go_on);
  stream_as<AsBf16>(w, step, groups, rows, k, x, ldx, y, ldy, go_on);
}

}  // namespace
}  // namespace ingot::cpu
