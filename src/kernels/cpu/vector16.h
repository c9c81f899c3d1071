// Sixteen floats in the registers of the target that a file is compiled for. Every target does the same steps in the same lanes.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "tensor/element_type.h"

namespace ingot::cpu {
namespace {  // each target's file has its own

#if defined(__AVX512F__)
struct F16x {
  __m512 v;
};
inline F16x zero() { return {_mm512_setzero_ps()}; }
inline F16x splat(float a) { return {_mm512_set1_ps(a)}; }
inline F16x load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F16x load(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
inline F16x load_bf16(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16))};
}
inline F16x load_signed(const uint8_t* p) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))}; }
inline void load_nibbles(const uint8_t* p, F16x& lower, F16x& upper) {  // of 16 bytes
  __m512i w = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  lower = {_mm512_cvtepi32_ps(_mm512_and_si512(w, _mm512_set1_epi32(15)))};
  upper = {_mm512_cvtepi32_ps(_mm512_srli_epi32(w, 4))};
}
inline void store(float* p, F16x a) { _mm512_storeu_ps(p, a.v); }
inline F16x add(F16x a, F16x b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16x sub(F16x a, F16x b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16x mul(F16x a, F16x b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16x div(F16x a, F16x b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16x root(F16x a) { return {_mm512_sqrt_ps(a.v)}; }
inline F16x fma(F16x a, F16x b, F16x c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F16x largest(F16x a, F16x b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F16x smallest(F16x a, F16x b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F16x nearest(F16x a) { return {_mm512_roundscale_ps(a.v, 0x08)}; }
inline F16x power_of_two(F16x n) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23))};
}
#elif defined(__AVX2__)
struct F16x {
  __m256 v[2];
};
#define INGOT_PAIR(expr_low, expr_high) \
  F16x { {expr_low, expr_high} }
inline F16x zero() { return INGOT_PAIR(_mm256_setzero_ps(), _mm256_setzero_ps()); }
inline F16x splat(float a) { return INGOT_PAIR(_mm256_set1_ps(a), _mm256_set1_ps(a)); }
inline F16x load(const float* p) { return INGOT_PAIR(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
inline F16x load(const uint16_t* p) {
  return INGOT_PAIR(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                    _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8))));
}
inline F16x load_bf16(const uint16_t* p) {
  auto eight = [](const uint16_t* q) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q))), 16));
  };
  return INGOT_PAIR(eight(p), eight(p + 8));
}
inline F16x load_signed(const uint8_t* p) {
  auto eight = [](const uint8_t* q) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(q)))); };
  return INGOT_PAIR(eight(p), eight(p + 8));
}
inline void load_nibbles(const uint8_t* p, F16x& lower, F16x& upper) {  // of 16 bytes
  const __m256i low = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m256i high = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)));
  const __m256i keep = _mm256_set1_epi32(15);
  lower = INGOT_PAIR(_mm256_cvtepi32_ps(_mm256_and_si256(low, keep)), _mm256_cvtepi32_ps(_mm256_and_si256(high, keep)));
  upper = INGOT_PAIR(_mm256_cvtepi32_ps(_mm256_srli_epi32(low, 4)), _mm256_cvtepi32_ps(_mm256_srli_epi32(high, 4)));
}
inline void store(float* p, F16x a) {
  _mm256_storeu_ps(p, a.v[0]);
  _mm256_storeu_ps(p + 8, a.v[1]);
}
inline F16x add(F16x a, F16x b) { return INGOT_PAIR(_mm256_add_ps(a.v[0], b.v[0]), _mm256_add_ps(a.v[1], b.v[1])); }
inline F16x sub(F16x a, F16x b) { return INGOT_PAIR(_mm256_sub_ps(a.v[0], b.v[0]), _mm256_sub_ps(a.v[1], b.v[1])); }
inline F16x mul(F16x a, F16x b) { return INGOT_PAIR(_mm256_mul_ps(a.v[0], b.v[0]), _mm256_mul_ps(a.v[1], b.v[1])); }
inline F16x div(F16x a, F16x b) { return INGOT_PAIR(_mm256_div_ps(a.v[0], b.v[0]), _mm256_div_ps(a.v[1], b.v[1])); }
inline F16x root(F16x a) { return INGOT_PAIR(_mm256_sqrt_ps(a.v[0]), _mm256_sqrt_ps(a.v[1])); }
inline F16x fma(F16x a, F16x b, F16x c) {
  return INGOT_PAIR(_mm256_fmadd_ps(a.v[0], b.v[0], c.v[0]), _mm256_fmadd_ps(a.v[1], b.v[1], c.v[1]));
}
inline F16x largest(F16x a, F16x b) { return INGOT_PAIR(_mm256_max_ps(a.v[0], b.v[0]), _mm256_max_ps(a.v[1], b.v[1])); }
inline F16x smallest(F16x a, F16x b) { return INGOT_PAIR(_mm256_min_ps(a.v[0], b.v[0]), _mm256_min_ps(a.v[1], b.v[1])); }
inline F16x nearest(F16x a) { return INGOT_PAIR(_mm256_round_ps(a.v[0], 0x08), _mm256_round_ps(a.v[1], 0x08)); }
inline F16x power_of_two(F16x n) {
  auto half = [](__m256 x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127)), 23));
  };
  return INGOT_PAIR(half(n.v[0]), half(n.v[1]));
}
#undef INGOT_PAIR
#else
struct F16x {
  float v[16];
};
#define INGOT_LANES(expr)                   \
  F16x r;                                   \
  for (int i = 0; i < 16; ++i) r.v[i] = expr; \
  return r
inline F16x zero() { INGOT_LANES(0.0f); }
inline F16x splat(float a) { INGOT_LANES(a); }
inline F16x load(const float* p) { INGOT_LANES(p[i]); }
inline F16x load(const uint16_t* p) { INGOT_LANES(f32_of_f16(p[i])); }
inline F16x load_bf16(const uint16_t* p) { INGOT_LANES(f32_of_bf16(p[i])); }
inline F16x load_signed(const uint8_t* p) { INGOT_LANES(static_cast<int8_t>(p[i])); }
inline void load_nibbles(const uint8_t* p, F16x& lower, F16x& upper) {
  for (int i = 0; i < 16; ++i) lower.v[i] = static_cast<float>(p[i] & 15), upper.v[i] = static_cast<float>(p[i] >> 4);
}
inline void store(float* p, F16x a) { std::memcpy(p, a.v, sizeof a.v); }
inline F16x add(F16x a, F16x b) { INGOT_LANES(a.v[i] + b.v[i]); }
inline F16x sub(F16x a, F16x b) { INGOT_LANES(a.v[i] - b.v[i]); }
inline F16x mul(F16x a, F16x b) { INGOT_LANES(a.v[i] * b.v[i]); }
inline F16x div(F16x a, F16x b) { INGOT_LANES(a.v[i] / b.v[i]); }
inline F16x root(F16x a) { INGOT_LANES(std::sqrt(a.v[i])); }
// Unfused: without the instruction a fused product costs a library call.
inline F16x fma(F16x a, F16x b, F16x c) { INGOT_LANES(a.v[i] * b.v[i] + c.v[i]); }
inline F16x largest(F16x a, F16x b) { INGOT_LANES(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
inline F16x smallest(F16x a, F16x b) { INGOT_LANES(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
inline F16x nearest(F16x a) { INGOT_LANES(std::nearbyint(a.v[i])); }
inline F16x power_of_two(F16x n) { INGOT_LANES(std::ldexp(1.0f, static_cast<int>(n.v[i]))); }
#undef INGOT_LANES
#endif

// Lanes in a fixed tree, the same on every target.
#if defined(__AVX2__)
template <typename Eight, typename Four>
inline float fold_lanes(F16x a, Eight eights, Four fours) {
#if defined(__AVX512F__)
  const __m256 low = _mm512_castps512_ps256(a.v), high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.v), 1));
#else
  const __m256 low = a.v[0], high = a.v[1];
#endif
  const __m256 eight = eights(low, high);
  const __m128 four = fours(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = fours(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(fours(two, _mm_movehdup_ps(two)));
}
inline float sum_lanes(F16x a) {
  return fold_lanes(a, [](__m256 x, __m256 y) { return _mm256_add_ps(x, y); }, [](__m128 x, __m128 y) { return _mm_add_ps(x, y); });
}
inline float largest_lane(F16x a) {
  return fold_lanes(a, [](__m256 x, __m256 y) { return _mm256_max_ps(x, y); }, [](__m128 x, __m128 y) { return _mm_max_ps(x, y); });
}
#else
template <typename Pair>
inline float fold_lanes(F16x a, Pair pair) {
  float v[16];
  store(v, a);
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; ++i) v[i] = pair(v[i], v[i + half]);
  return v[0];
}
inline float sum_lanes(F16x a) {
  return fold_lanes(a, [](float x, float y) { return x + y; });
}
inline float largest_lane(F16x a) {
  return fold_lanes(a, [](float x, float y) { return x > y ? x : y; });
}
#endif

// Up to 15 floats at the end of a row; `fill` beyond them.
inline F16x load_some(const float* p, int64_t n, float fill) {
  float v[16];
  for (int i = 0; i < 16; ++i) v[i] = i < n ? p[i] : fill;
  return load(v);
}
inline void store_some(float* p, F16x a, int64_t n) {
  float v[16];
  store(v, a);
  std::memcpy(p, v, static_cast<size_t>(n) * sizeof(float));
}

// e^x to about 1 ulp: range reduction by ln 2 in two parts, then the degree-6 polynomial of Cephes' expf.
inline F16x exponential(F16x x) {
  x = smallest(largest(x, splat(-87.3f)), splat(88.0f));
  F16x n = nearest(mul(x, splat(1.44269504088896341f)));
  F16x r = fma(n, splat(-0.693359375f), x);
  r = fma(n, splat(2.12194440e-4f), r);
  F16x p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, mul(r, r), add(r, splat(1.0f)));
  return mul(p, power_of_two(n));
}

// Calls fn(vector of 16 at i, count) over a row, the rest padded with `fill` and count < 16.
template <typename Fn>
inline void each16(const float* x, int64_t n, float fill, Fn fn) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) fn(i, load(x + i), int64_t{16});
  if (i < n) fn(i, load_some(x + i, n - i, fill), n - i);
}
inline F16x load_at(const float* p, int64_t count) { return count == 16 ? load(p) : load_some(p, count, 0.0f); }
inline F16x load_at(const uint16_t* p, int64_t count) {  // f16
  if (count == 16) return load(p);
  uint16_t some[16] = {};
  std::memcpy(some, p, static_cast<size_t>(count) * sizeof(uint16_t));
  return load(some);
}
inline void store_at(float* p, F16x a, int64_t count) { count == 16 ? store(p, a) : store_some(p, a, count); }

}  // namespace
}  // namespace ingot::cpu
