// Sixteen 32-bit words in the registers of the target that a file is compiled for, and the exact dot products of bytes on them.
// A struct and not the compiler's 64-byte vector: on a target with narrower registers that type lives in memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/block_formats.h"
#include "kernels/cpu/quant_kernels.h"
#include "kernels/cpu/vector16.h"

namespace ingot::cpu {
namespace {  // each target's file has its own

#if defined(__AVX2__)
#define INGOT_INLINE inline __attribute__((always_inline))
#else
#define INGOT_INLINE inline  // sixteen lanes of plain C++, everywhere inlined, are a megabyte of code
#endif

#if defined(__AVX512F__)
struct W16 {
  __m512i v;
};
INGOT_INLINE W16 words(const void* p) { return {_mm512_loadu_si512(p)}; }
INGOT_INLINE W16 word(uint32_t a) { return {_mm512_set1_epi32(static_cast<int>(a))}; }
INGOT_INLINE void put(void* p, W16 a) { _mm512_storeu_si512(p, a.v); }
INGOT_INLINE W16 operator&(W16 a, W16 b) { return {_mm512_and_si512(a.v, b.v)}; }
INGOT_INLINE W16 operator|(W16 a, W16 b) { return {_mm512_or_si512(a.v, b.v)}; }
INGOT_INLINE W16 operator^(W16 a, W16 b) { return {_mm512_xor_si512(a.v, b.v)}; }
INGOT_INLINE W16 operator+(W16 a, W16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
INGOT_INLINE W16 operator>>(W16 a, int n) { return {_mm512_srli_epi32(a.v, static_cast<unsigned>(n))}; }
INGOT_INLINE W16 operator<<(W16 a, int n) { return {_mm512_slli_epi32(a.v, static_cast<unsigned>(n))}; }
INGOT_INLINE W16 signed_shift(W16 a, int n) { return {_mm512_srai_epi32(a.v, static_cast<unsigned>(n))}; }
INGOT_INLINE F16x floats(W16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
INGOT_INLINE F16x low_halves(W16 a) { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(a.v))}; }
INGOT_INLINE W16 look_up(W16 nibbles) {
  const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kNonLinear4));
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles.v)};
}
// out[j] lane r = bytes 4j..4j+3 of row r's 16 bytes.
INGOT_INLINE void transpose16(const uint8_t* base, const int64_t* offsets, W16 (&out)[4]) {
  __m512i z[4];  // lane l of z[q] is row 4l + q
  for (int q = 0; q < 4; ++q) {
    auto row = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + offsets[r])); };
    z[q] = _mm512_castsi128_si512(row(q));
    z[q] = _mm512_inserti32x4(z[q], row(4 + q), 1);
    z[q] = _mm512_inserti32x4(z[q], row(8 + q), 2);
    z[q] = _mm512_inserti32x4(z[q], row(12 + q), 3);
  }
  __m512i a = _mm512_unpacklo_epi32(z[0], z[1]), b = _mm512_unpackhi_epi32(z[0], z[1]);
  __m512i c = _mm512_unpacklo_epi32(z[2], z[3]), d = _mm512_unpackhi_epi32(z[2], z[3]);
  out[0].v = _mm512_unpacklo_epi64(a, c);
  out[1].v = _mm512_unpackhi_epi64(a, c);
  out[2].v = _mm512_unpacklo_epi64(b, d);
  out[3].v = _mm512_unpackhi_epi64(b, d);
}
#elif defined(__AVX2__)
struct W16 {
  __m256i v[2];
};
INGOT_INLINE W16 words(const void* p) {
  auto* at = static_cast<const __m256i*>(p);
  return {{_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)}};
}
INGOT_INLINE W16 word(uint32_t a) { return {{_mm256_set1_epi32(static_cast<int>(a)), _mm256_set1_epi32(static_cast<int>(a))}}; }
INGOT_INLINE void put(void* p, W16 a) {
  auto* at = static_cast<__m256i*>(p);
  _mm256_storeu_si256(at, a.v[0]);
  _mm256_storeu_si256(at + 1, a.v[1]);
}
INGOT_INLINE W16 operator&(W16 a, W16 b) { return {{_mm256_and_si256(a.v[0], b.v[0]), _mm256_and_si256(a.v[1], b.v[1])}}; }
INGOT_INLINE W16 operator|(W16 a, W16 b) { return {{_mm256_or_si256(a.v[0], b.v[0]), _mm256_or_si256(a.v[1], b.v[1])}}; }
INGOT_INLINE W16 operator^(W16 a, W16 b) { return {{_mm256_xor_si256(a.v[0], b.v[0]), _mm256_xor_si256(a.v[1], b.v[1])}}; }
INGOT_INLINE W16 operator+(W16 a, W16 b) { return {{_mm256_add_epi32(a.v[0], b.v[0]), _mm256_add_epi32(a.v[1], b.v[1])}}; }
INGOT_INLINE W16 operator>>(W16 a, int n) { return {{_mm256_srli_epi32(a.v[0], n), _mm256_srli_epi32(a.v[1], n)}}; }
INGOT_INLINE W16 operator<<(W16 a, int n) { return {{_mm256_slli_epi32(a.v[0], n), _mm256_slli_epi32(a.v[1], n)}}; }
INGOT_INLINE W16 signed_shift(W16 a, int n) { return {{_mm256_srai_epi32(a.v[0], n), _mm256_srai_epi32(a.v[1], n)}}; }
INGOT_INLINE F16x floats(W16 a) { return {{_mm256_cvtepi32_ps(a.v[0]), _mm256_cvtepi32_ps(a.v[1])}}; }
INGOT_INLINE F16x low_halves(W16 a) {
  __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(a.v[0], a.v[1]), 0xd8);
  return {{_mm256_cvtph_ps(_mm256_castsi256_si128(packed)), _mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1))}};
}
INGOT_INLINE W16 look_up(W16 nibbles) {
  const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kNonLinear4)));
  return {{_mm256_shuffle_epi8(table, nibbles.v[0]), _mm256_shuffle_epi8(table, nibbles.v[1])}};
}
INGOT_INLINE void transpose16(const uint8_t* base, const int64_t* offsets, W16 (&out)[4]) {
  auto row = [&](int r) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + offsets[r])); };
  for (int h = 0; h < 2; ++h) {
    __m256i y[4];  // lane l of y[q] is row 8h + 4l + q
    for (int q = 0; q < 4; ++q) y[q] = _mm256_inserti128_si256(_mm256_castsi128_si256(row(8 * h + q)), row(8 * h + 4 + q), 1);
    __m256i a = _mm256_unpacklo_epi32(y[0], y[1]), b = _mm256_unpackhi_epi32(y[0], y[1]);
    __m256i c = _mm256_unpacklo_epi32(y[2], y[3]), d = _mm256_unpackhi_epi32(y[2], y[3]);
    out[0].v[h] = _mm256_unpacklo_epi64(a, c);
    out[1].v[h] = _mm256_unpackhi_epi64(a, c);
    out[2].v[h] = _mm256_unpacklo_epi64(b, d);
    out[3].v[h] = _mm256_unpackhi_epi64(b, d);
  }
}
#else
struct W16 {
  uint32_t v[16];
};
#define INGOT_LANES(expr)                   \
  W16 r;                                    \
  for (int i = 0; i < 16; ++i) r.v[i] = expr; \
  return r
inline W16 words(const void* p) {
  W16 r;
  std::memcpy(r.v, p, sizeof r.v);
  return r;
}
inline W16 word(uint32_t a) { INGOT_LANES(a); }
inline void put(void* p, W16 a) { std::memcpy(p, a.v, sizeof a.v); }
inline W16 operator&(W16 a, W16 b) { INGOT_LANES(a.v[i] & b.v[i]); }
inline W16 operator|(W16 a, W16 b) { INGOT_LANES(a.v[i] | b.v[i]); }
inline W16 operator^(W16 a, W16 b) { INGOT_LANES(a.v[i] ^ b.v[i]); }
inline W16 operator+(W16 a, W16 b) { INGOT_LANES(a.v[i] + b.v[i]); }
inline W16 operator>>(W16 a, int n) { INGOT_LANES(a.v[i] >> n); }
inline W16 operator<<(W16 a, int n) { INGOT_LANES(a.v[i] << n); }
inline W16 signed_shift(W16 a, int n) { INGOT_LANES(static_cast<uint32_t>(static_cast<int32_t>(a.v[i]) >> n)); }
inline W16 look_up(W16 nibbles) {
  W16 r;
  for (int i = 0; i < 16; ++i) {
    uint32_t bytes = 0;
    for (int j = 0; j < 4; ++j) bytes |= static_cast<uint32_t>(static_cast<uint8_t>(kNonLinear4[(nibbles.v[i] >> (8 * j)) & 15])) << (8 * j);
    r.v[i] = bytes;
  }
  return r;
}
#undef INGOT_LANES
inline F16x floats(W16 a) {
  F16x f;
  for (int i = 0; i < 16; ++i) f.v[i] = static_cast<float>(static_cast<int32_t>(a.v[i]));
  return f;
}
inline F16x low_halves(W16 a) {
  F16x f;
  for (int i = 0; i < 16; ++i) f.v[i] = f32_of_f16(static_cast<uint16_t>(a.v[i]));
  return f;
}
inline void transpose16(const uint8_t* base, const int64_t* offsets, W16 (&out)[4]) {
  for (int r = 0; r < 16; ++r)
    for (int j = 0; j < 4; ++j) std::memcpy(&out[j].v[r], base + offsets[r] + 4 * j, 4);
}
#endif

INGOT_INLINE W16 operator&(W16 a, uint32_t b) { return a & word(b); }

// f(0), ..., f(N-1) with the number as a constant.
template <int N, class F>
INGOT_INLINE void unrolled(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) { (f(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace
}  // namespace ingot::cpu
