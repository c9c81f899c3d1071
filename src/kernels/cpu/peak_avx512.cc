#include <immintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double f32(long rounds) {
  return run_chains<24>(rounds, 32, _mm512_setzero_ps(), _mm512_set1_ps(1.5f), _mm512_set1_ps(0.5f),
                        [](__m512 s, __m512 x, __m512 y) { return _mm512_fmadd_ps(x, y, s); });
}

}  // namespace

// Without VNNI the integer kernels are AVX2's.
PeakLoops peak_loops_avx512() { return {f32, nullptr, peak_loops_avx2().int8}; }

}  // namespace ingot::cpu
