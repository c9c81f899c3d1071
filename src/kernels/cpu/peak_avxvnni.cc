#include <immintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double int8(long rounds) {
  return run_chains<12>(rounds, 64, _mm256_setzero_si256(), _mm256_set1_epi8(3), _mm256_set1_epi8(5),
                        [](__m256i s, __m256i x, __m256i y) { return _mm256_dpbusd_avx_epi32(s, x, y); });
}

}  // namespace

PeakLoops peak_loops_avxvnni() { return {peak_loops_avx2().f32, nullptr, int8}; }

}  // namespace ingot::cpu
