#include <immintrin.h>

#define INGOT_DPBUSD _mm256_dpbusd_avx_epi32
#include "kernels/cpu/quant_tile_256.h"

namespace ingot::cpu {

const QuantKernels& quant_kernels_avxvnni() {
  static constexpr QuantKernels kernels = {kRows, pack_panel, tile_256};
  return kernels;
}

}  // namespace ingot::cpu
