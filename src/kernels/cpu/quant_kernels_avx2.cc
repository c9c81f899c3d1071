#include "kernels/cpu/quant_tile_256.h"

namespace ingot::cpu {

const QuantKernels& quant_kernels_avx2() { return kKernels256; }

}  // namespace ingot::cpu
