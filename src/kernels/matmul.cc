#include "kernels/matmul.h"

#include <vector>

#include "kernels/dequantize.h"

namespace ingot {

void matmul(ElementType wtype, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team) {
  int64_t stride = row_bytes(wtype, k);
  team.parallel_for(static_cast<size_t>(n), 8, [&](size_t begin, size_t end) {
    std::vector<float> row(static_cast<size_t>(k));
    for (int64_t j = static_cast<int64_t>(begin); j < static_cast<int64_t>(end); ++j) {
      dequantize_row(wtype, static_cast<const uint8_t*>(w) + j * stride, row.data(), k);
      for (int64_t i = 0; i < m; ++i) {
        float sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += x[i * k + p] * row[static_cast<size_t>(p)];
        y[i * n + j] = sum;
      }
    }
  });
}

}  // namespace ingot
