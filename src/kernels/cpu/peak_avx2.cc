#include <immintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double f32(long rounds) {
  return run_chains<12>(rounds, 16, _mm256_setzero_ps(), _mm256_set1_ps(1.5f), _mm256_set1_ps(0.5f),
                        [](__m256 s, __m256 x, __m256 y) { return _mm256_fmadd_ps(x, y, s); });
}

// The two instructions of a product step whose sums fit 16 bits: what weights of up to 6 bits reach at most; 8-bit ones take twice that.
double int8(long rounds) {
  return run_chains<12>(rounds, 64, _mm256_setzero_si256(), _mm256_set1_epi8(3), _mm256_set1_epi8(5), [](__m256i s, __m256i x, __m256i y) {
    __asm__ volatile("" : "+v"(x));  // else the product is made once, before the loop
    return _mm256_add_epi16(s, _mm256_maddubs_epi16(x, y));
  });
}

}  // namespace

PeakLoops peak_loops_avx2() { return {f32, nullptr, int8}; }

}  // namespace ingot::cpu
