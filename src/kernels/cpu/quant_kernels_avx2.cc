#include "kernels/cpu/quant_tile_256.h"

namespace ingot::cpu {

const QuantKernels& quant_kernels_avx2() {
  static constexpr QuantKernels kernels = {kRows, pack_panel, tile_256};
  return kernels;
}

}  // namespace ingot::cpu
