#include <immintrin.h>

#include "kernels/cpu/peak_loop.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

double bf16(long rounds) {
  __m512i ones = _mm512_set1_epi16(0x3f80);
  return run_chains<24>(rounds, 64, _mm512_setzero_ps(), ones, ones, [](__m512 s, __m512i x, __m512i y) {
    return _mm512_dpbf16_ps(s, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(y));
  });
}

}  // namespace

PeakLoops peak_loops_avx512bf16() {
  PeakLoops loops = peak_loops_avx512vnni();
  loops.bf16 = bf16;
  return loops;
}

}  // namespace ingot::cpu
