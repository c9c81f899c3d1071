#include "kernels/cpu/amx_tiles.h"
#include "kernels/machine_limits.h"

namespace ingot::cpu {
namespace {

constexpr long kSlower = 4;  // a round of four products is 64 cycles; the other targets' take about 12

double bf16(long rounds) {
  use_tiles();
  clear_tile<0>(), clear_tile<1>(), clear_tile<2>(), clear_tile<3>(), clear_tile<4>(), clear_tile<5>(), clear_tile<6>(), clear_tile<7>();
  for (long r = 0; r < rounds / kSlower; ++r) multiply_bf16<0, 4, 6>(), multiply_bf16<1, 4, 7>(), multiply_bf16<2, 5, 6>(), multiply_bf16<3, 5, 7>();
  return static_cast<double>(rounds / kSlower) * 4 * 2 * 16 * 16 * 32;
}

double int8(long rounds) {
  use_tiles();
  clear_tile<0>(), clear_tile<1>(), clear_tile<2>(), clear_tile<3>(), clear_tile<4>(), clear_tile<5>(), clear_tile<6>(), clear_tile<7>();
  for (long r = 0; r < rounds / kSlower; ++r) multiply_int8<0, 4, 6>(), multiply_int8<1, 4, 7>(), multiply_int8<2, 5, 6>(), multiply_int8<3, 5, 7>();
  return static_cast<double>(rounds / kSlower) * 4 * 2 * 16 * 16 * 64;
}

}  // namespace

PeakLoops peak_loops_amx() { return {peak_loops_avx512().f32, bf16, int8}; }

}  // namespace ingot::cpu
