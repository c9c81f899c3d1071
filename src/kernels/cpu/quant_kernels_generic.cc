#include <algorithm>

#include "kernels/cpu/quant_panel.h"
#include "kernels/cpu/quant_stream.h"
#include "tensor/element_type.h"

namespace ingot::cpu {
namespace {

void tile(const QuantForm& form, int groups, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  const int sub = form.sub, steps = 8 / sub;
  for (int i = 0; i < rows; ++i)
    for (int g = 0; g < groups; ++g) {
      float sum[16] = {};
      if (load) std::copy_n(y + i * ldy + 16 * g, 16, sum);
      const uint8_t* q = w.quants + g * w.quants_stride;
      for (int64_t b = 0; b < blocks; ++b)
        for (int part = 0; part < sub; ++part) {
          int64_t at = b * sub + part, xat = i * x.scales_stride * sub + at;
          int32_t dot[16];
          std::fill_n(dot, 16, x.start[xat]);
          for (int step = 0; step < steps; ++step)
            for (int r = 0; r < 16; ++r)
              for (int j = 0; j < 4; ++j)
                dot[r] += q[((at * steps + step) * 16 + r) * 4 + j] * x.quants[i * x.quants_stride + (at * steps + step) * 4 + j];
          float d = x.scales[i * x.scales_stride + b];
          for (int r = 0; r < 16; ++r) {
            sum[r] += w.scales[g * w.scales_stride + at * 16 + r] * d * static_cast<float>(dot[r]);
            if (form.minima) sum[r] += w.mins[g * w.scales_stride + at * 16 + r] * x.sums[xat];
          }
        }
      std::copy_n(sum, 16, y + i * ldy + 16 * g);
    }
}

}  // namespace

const QuantKernels& quant_kernels_generic() {
  static constexpr QuantKernels kernels = {4, kStreamRows, kSums, false, pack_panel, expand_panel, interleave, tile, stream};
  return kernels;
}

}  // namespace ingot::cpu
