#include <immintrin.h>

#define INGOT_DPBUSD _mm256_dpbusd_avx_epi32
#include "kernels/cpu/quant_tile_256.h"

namespace ingot::cpu {

const QuantKernels& quant_kernels_avxvnni() { return kKernels256; }

}  // namespace ingot::cpu
