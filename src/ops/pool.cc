#include "ops/pool.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/row_kernels.h"

namespace ingot {

Tensor mean_rows(const Context& c, Tensor x, std::span<const int64_t> starts) {
  Tensor y = c.make(static_cast<int64_t>(starts.size()) - 1, x.cols);
  for (int64_t i = 0; i < y.rows; ++i) {
    const int64_t from = starts[static_cast<size_t>(i)], to = starts[static_cast<size_t>(i) + 1];
    std::fill_n(y.row(i), y.cols, 0.0f);
    for (int64_t r = from; r < to; ++r) cpu::row_kernels().add_scaled(y.row(i), 1.0f / static_cast<float>(to - from), x.row(r), x.cols);
  }
  if (c.tape)
    c.tape->record([x, y, starts = std::vector<int64_t>(starts.begin(), starts.end())] {
      for (int64_t i = 0; i < y.rows; ++i) {
        const int64_t from = starts[static_cast<size_t>(i)], to = starts[static_cast<size_t>(i) + 1];
        for (int64_t r = from; r < to; ++r) cpu::row_kernels().add_scaled(x.grad_row(r), 1.0f / static_cast<float>(to - from), y.grad_row(i), x.cols);
      }
    });
  return y;
}

}  // namespace ingot
