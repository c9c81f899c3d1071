#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/dequantize.h"
#include "kernels/gemm.h"
#include "kernels/matmul.h"
#include "kernels/workspace.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace ingot {
void product(const Context& c, Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
             const float* b, int64_t ldb, float* out, int64_t ldc, bool accumulate) {
  if (!c.bf16) return gemm_f32(ta, tb, m, n, k, a, lda, b, ldb, out, ldc, accumulate, c.team);
  gemm_bf16(ta, tb, m, n, k, a, lda, b, ldb, out, ldc, accumulate, c.team);
}

void input_gradient_stored(const Context& c, const Weight& w, const Tensor& y, const Tensor& x) {
  constexpr int64_t kStrip = 256;
  auto mark = c.arena.mark();
  float* strip = c.arena.floats(kStrip * w.cols);
  int64_t stride = row_bytes(w.type, w.cols);
  for (int64_t r = 0; r < w.rows; r += kStrip) {
    int64_t rows = std::min(kStrip, w.rows - r);
    c.team.parallel_for(static_cast<size_t>(rows), 8, [&](size_t b, size_t e) {
      for (auto i = static_cast<int64_t>(b); i < static_cast<int64_t>(e); ++i)
        dequantize_row(w.type, static_cast<const char*>(w.data) + (r + i) * stride, strip + i * w.cols, w.cols);
    });
    product(c, Transpose::kNo, Transpose::kNo, x.rows, w.cols, rows, y.grad + r, y.cols, strip, w.cols, x.grad, x.cols, true);
  }
  c.arena.release(mark);
}

namespace {

Tensor add_low_rank(const Context& c, Tensor x, const LowRank& l, Tensor y) {
  const int64_t rank = l.a.rows;
  Tensor inner = c.make(x.rows, rank);
  gemm_f32(Transpose::kNo, Transpose::kYes, x.rows, rank, x.cols, x.data, x.cols, l.a.f32(), x.cols, inner.data, rank, false, c.team);
  for (int64_t i = 0; i < inner.size(); ++i) inner.data[i] *= l.scale;
  gemm_f32(Transpose::kNo, Transpose::kYes, x.rows, y.cols, rank, inner.data, rank, l.b.f32(), rank, y.data, y.cols, true, c.team);
  return inner;
}

void low_rank_gradient(const Context& c, Tensor x, const LowRank& l, Tensor inner, Tensor y) {
  const int64_t rank = l.a.rows;
  if (l.b.grad) gemm_f32(Transpose::kYes, Transpose::kNo, y.cols, rank, x.rows, y.grad, y.cols, inner.data, rank, l.b.grad, rank, true, c.team);
  gemm_f32(Transpose::kNo, Transpose::kNo, x.rows, rank, y.cols, y.grad, y.cols, l.b.f32(), rank, inner.grad, rank, false, c.team);
  for (int64_t i = 0; i < inner.size(); ++i) inner.grad[i] *= l.scale;
  if (l.a.grad) gemm_f32(Transpose::kYes, Transpose::kNo, rank, x.cols, x.rows, inner.grad, rank, x.data, x.cols, l.a.grad, x.cols, true, c.team);
  if (x.grad) gemm_f32(Transpose::kNo, Transpose::kNo, x.rows, x.cols, rank, inner.grad, rank, l.a.f32(), x.cols, x.grad, x.cols, true, c.team);
}

}  // namespace

Tensor embed(const Context& c, const Weight& table, std::span<const int32_t> ids) {
  Tensor y = c.make(static_cast<int64_t>(ids.size()), table.cols);
  int64_t stride = row_bytes(table.type, table.cols);
  for (int64_t r = 0; r < y.rows; ++r)
    dequantize_row(table.type, static_cast<const char*>(table.data) + ids[static_cast<size_t>(r)] * stride, y.row(r), y.cols);
  if (c.tape && table.grad) {
    c.tape->record([c, table, y, rows = std::vector<int32_t>(ids.begin(), ids.end())] {
      // Columns are split, so that one thread adds to an element, in row order.
      c.team.parallel_for(static_cast<size_t>(y.cols), 64, [&](size_t b, size_t e) {
        for (int64_t r = 0; r < y.rows; ++r)
          cpu::row_kernels().add_scaled(table.grad + rows[static_cast<size_t>(r)] * y.cols + b, 1, y.grad_row(r) + b,
                                        static_cast<int64_t>(e - b));
      });
    });
  }
  return y;
}

void linears(const Context& c, Tensor x, std::span<const Linear> parts, Tensor* out) {
  MatmulPart list[8];
  const bool alone = c.tape || c.observe || parts.size() > std::size(list);
  for (size_t i = 0; i < parts.size(); ++i) {
    const Weight& w = parts[i].weight;
    if (alone || x.cols != w.cols) {
      out[i] = linear(c, x, w, parts[i].bias);
      continue;
    }
    out[i] = c.make(x.rows, w.rows);
    list[i] = {w.type, w.data, w.interleaved_rows(), w.rows, out[i].data};
  }
  if (alone) return;
  matmul({list, parts.size()}, x.cols, x.data, x.rows, c.team, c.upcoming);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (const Weight& bias = parts[i].bias)
      for (int64_t r = 0; r < out[i].rows; ++r) cpu::row_kernels().add(out[i].row(r), bias.f32(), out[i].row(r), out[i].cols);
    if (parts[i].weight.low_rank) add_low_rank(c, x, *parts[i].weight.low_rank, out[i]);
  }
}

Tensor linear(const Context& c, Tensor x, const Weight& w, const Weight& bias) {
  if (x.cols != w.cols)
    bad_input("a matrix does not fit its input: " + std::to_string(w.cols) + " columns expected, " + std::to_string(x.cols) + " given",
              w.name, "the model file is inconsistent; fetch it again");
  if (c.observe) (*c.observe)(w, x);
  Tensor y = c.make(x.rows, w.rows);
  bool trains = w.type == ElementType::kF32 && c.tape;
  if (trains) {
    product(c, Transpose::kNo, Transpose::kYes, x.rows, w.rows, w.cols, x.data, x.cols, w.f32(), w.cols, y.data, y.cols, false);
  } else {
    const MatmulPart part{w.type, w.data, w.interleaved_rows(), w.rows, y.data};
    matmul({&part, 1}, w.cols, x.data, x.rows, c.team, c.upcoming);
  }
  if (bias)
    for (int64_t r = 0; r < y.rows; ++r) cpu::row_kernels().add(y.row(r), bias.f32(), y.row(r), y.cols);
  Tensor inner;  // scale A x
  if (w.low_rank) inner = add_low_rank(c, x, *w.low_rank, y);
  if (c.tape) {
    c.tape->record([c, x, w, bias, y, inner, trains] {
      if (w.low_rank) low_rank_gradient(c, x, *w.low_rank, inner, y);
      if (x.grad) {
        if (trains)
          product(c, Transpose::kNo, Transpose::kNo, x.rows, w.cols, w.rows, y.grad, y.cols, w.f32(), w.cols, x.grad, x.cols, true);
        else
          input_gradient_stored(c, w, y, x);
      }
      if (w.grad)
        product(c, Transpose::kYes, Transpose::kNo, w.rows, w.cols, x.rows, y.grad, y.cols, x.data, x.cols, w.grad, w.cols, true);
      if (bias.grad)
        for (int64_t r = 0; r < y.rows; ++r) cpu::row_kernels().add(bias.grad, y.grad_row(r), bias.grad, y.cols);
    });
  }
  return y;
}

}  // namespace ingot
