#include <immintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double f32(long rounds) {
  return run_chains<12>(rounds, 16, _mm256_setzero_ps(), _mm256_set1_ps(1.5f), _mm256_set1_ps(0.5f),
                        [](__m256 s, __m256 x, __m256 y) { return _mm256_fmadd_ps(x, y, s); });
}

// The three instructions that one 8-bit product step takes without VNNI.
double int8(long rounds) {
  return run_chains<8>(rounds, 64, _mm256_setzero_si256(), _mm256_set1_epi8(3), _mm256_set1_epi8(5), [](__m256i s, __m256i x, __m256i y) {
    __m256i pairs = _mm256_maddubs_epi16(x, y);
    __asm__ volatile("" : "+v"(pairs));
    return _mm256_add_epi32(s, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  });
}

}  // namespace

PeakLoops peak_loops_avx2() { return {f32, nullptr, int8}; }

}  // namespace ingot::cpu
