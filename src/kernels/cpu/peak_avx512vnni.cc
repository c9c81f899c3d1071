#include <immintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double int8(long rounds) {
  return run_chains<24>(rounds, 128, _mm512_setzero_si512(), _mm512_set1_epi8(3), _mm512_set1_epi8(5),
                        [](__m512i s, __m512i x, __m512i y) { return _mm512_dpbusd_epi32(s, x, y); });
}

}  // namespace

PeakLoops peak_loops_avx512vnni() { return {peak_loops_avx512().f32, nullptr, int8}; }

}  // namespace ingot::cpu
