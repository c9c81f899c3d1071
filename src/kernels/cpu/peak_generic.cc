#include <tmmintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double f32(long rounds) {
  return run_chains<12>(rounds, 8, _mm_setzero_ps(), _mm_set1_ps(1.5f), _mm_set1_ps(0.5f), [](__m128 s, __m128 x, __m128 y) {
    __m128 product = _mm_mul_ps(x, y);
    __asm__ volatile("" : "+v"(product));
    return _mm_add_ps(s, product);
  });
}

double int8(long rounds) {
  return run_chains<8>(rounds, 32, _mm_setzero_si128(), _mm_set1_epi8(3), _mm_set1_epi8(5), [](__m128i s, __m128i x, __m128i y) {
    __m128i pairs = _mm_maddubs_epi16(x, y);
    __asm__ volatile("" : "+v"(pairs));
    return _mm_add_epi32(s, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
  });
}

}  // namespace

PeakLoops peak_loops_generic() { return {f32, nullptr, int8}; }

}  // namespace ingot::cpu
