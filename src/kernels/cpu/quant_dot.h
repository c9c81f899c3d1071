// Products of sixteen rows' bytes with the same four bytes of x, exact on every target.
// The start of a sum takes out the offset that the stored bytes have; with 16-bit sums it comes as two halves of a word, the first for
// k % 4 in {0, 1}, the second for {2, 3}. They may wrap on the way: the whole fits (16 k: 16*16*127, 16*15*127, 8*32*127 < 2^15).
#pragma once

#include "kernels/cpu/word16.h"

namespace ingot::cpu {
namespace {

INGOT_INLINE int32_t four_bytes(const int8_t* p) {
  int32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

#if defined(__AVX512VNNI__)
constexpr Sums kSums = Sums::kWhole;
template <Width W>
INGOT_INLINE W16 dot_begin(int32_t start) {
  return {_mm512_set1_epi32(start)};
}
template <Width W>
INGOT_INLINE W16 dot_step(W16 sum, W16 w, int32_t x) {
  return {_mm512_dpbusd_epi32(sum.v, w.v, _mm512_set1_epi32(x))};
}
template <Width W>
INGOT_INLINE W16 dot_end(W16 sum, int32_t) {
  return sum;
}
#elif defined(__AVX2__)
#if defined(INGOT_DPBUSD)
constexpr Sums kSums = Sums::kWhole;
template <Width W>
INGOT_INLINE __m256i dot_half(__m256i sum, __m256i w, __m256i x) {
  return INGOT_DPBUSD(sum, w, x);
}
template <Width W>
INGOT_INLINE __m256i dot_end_half(__m256i sum, __m256i) {
  return sum;
}
#else
constexpr Sums kSums = Sums::kPairs;
template <Width W>
INGOT_INLINE __m256i dot_half(__m256i sum, __m256i w, __m256i x) {
  if constexpr (W != Width::kSigned)
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x));
  else  // |w| times x with w's sign: 2*128*127 < 2^15. 16-bit words made once a panel, two multiply-adds each, were written: no faster
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)), _mm256_set1_epi16(1)));
  // Without this g++ turns the chain of sums into a tree, and all products of a block wait for it on the stack: 40 % of the speed.
  __asm__("" : "+x"(sum));
  return sum;
}
template <Width W>
INGOT_INLINE __m256i dot_end_half(__m256i sum, __m256i start) {
  if constexpr (W == Width::kSigned) return sum;
  const __m256i ones = _mm256_set1_epi16(1);
  sum = _mm256_madd_epi16(sum, ones);
  if constexpr (W == Width::kLifted) sum = _mm256_sub_epi32(sum, _mm256_madd_epi16(start, ones));
  return sum;
}
#endif
template <Width W>
INGOT_INLINE W16 dot_begin(int32_t start) {
  return word(static_cast<uint32_t>(start));
}
template <Width W>
INGOT_INLINE W16 dot_step(W16 sum, W16 w, int32_t x) {
  __m256i right = _mm256_set1_epi32(x);
  return {{dot_half<W>(sum.v[0], w.v[0], right), dot_half<W>(sum.v[1], w.v[1], right)}};
}
template <Width W>
INGOT_INLINE W16 dot_end(W16 sum, int32_t start) {
  __m256i s = _mm256_set1_epi32(start);
  return {{dot_end_half<W>(sum.v[0], s), dot_end_half<W>(sum.v[1], s)}};
}
#else
constexpr Sums kSums = Sums::kWhole;
template <Width W>
inline W16 dot_begin(int32_t start) {
  return word(static_cast<uint32_t>(start));
}
template <Width W>
inline W16 dot_step(W16 sum, W16 w, int32_t x) {
  for (int r = 0; r < 16; ++r)
    for (int j = 0; j < 4; ++j)
      sum.v[r] += static_cast<uint32_t>(static_cast<int32_t>((w.v[r] >> (8 * j)) & 255) * static_cast<int8_t>(static_cast<uint32_t>(x) >> (8 * j)));
  return sum;
}
template <Width W>
inline W16 dot_end(W16 sum, int32_t) {
  return sum;
}
#endif

// What a sum takes: signed bytes as they are, or with the offset of 128 that makes them unsigned.
template <Width W>
INGOT_INLINE W16 operand(W16 bytes) {
  if constexpr (W == Width::kSigned && kSums == Sums::kWhole) return bytes ^ word(0x80808080u);
  return bytes;
}

}  // namespace
}  // namespace ingot::cpu
