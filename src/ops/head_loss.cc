// Losses on the language head, fused with it: a block of rows at a time, so that the logits of a whole batch never exist.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/cpu/row_kernels.h"
#include "kernels/matmul.h"
#include "ops/ops.h"
#include "ops/product.h"

namespace ingot {
namespace {

constexpr int64_t kRows = 512;

// Turns row `index`'s logits into the gradient of its loss and returns the loss; `gradient` false: the loss alone.
using RowLoss = std::function<double(int64_t index, float* logits, bool gradient)>;

double over_rows(const Context& c, Tensor x, const Weight& w, std::span<const int32_t> targets, float weight, int64_t* count, const RowLoss& loss_of) {
  std::vector<int64_t> rows;  // those that count
  for (size_t i = 0; i < targets.size(); ++i)
    if (targets[i] >= 0) rows.push_back(static_cast<int64_t>(i));
  const auto counted = static_cast<int64_t>(rows.size());
  if (count) *count = counted;
  if (!counted) return 0;
  const float each = weight / static_cast<float>(counted);
  const bool all = counted == x.rows;
  auto mark = c.arena.mark();
  float* logits = c.arena.floats(std::min(kRows, counted) * w.rows);
  Tensor some{all ? nullptr : c.arena.floats(std::min(kRows, counted) * x.cols), nullptr, 0, x.cols};
  if (!all && c.tape && x.grad) some.grad = c.arena.floats(std::min(kRows, counted) * x.cols);
  std::vector<double> losses(rows.size());
  for (int64_t first = 0; first < counted; first += kRows) {
    const int64_t n = std::min(kRows, counted - first);
    const int64_t* which = rows.data() + first;
    Tensor part = some;
    part.rows = n;
    if (all) part = {x.row(first), x.grad ? x.grad_row(first) : nullptr, n, x.cols};
    else
      for (int64_t i = 0; i < n; ++i) std::memcpy(part.row(i), x.row(which[i]), static_cast<size_t>(x.cols) * sizeof(float));
    if (w.type == ElementType::kF32)
      product(c, Transpose::kNo, Transpose::kYes, n, w.rows, w.cols, part.data, x.cols, w.f32(), w.cols, logits, w.rows, false);
    else
      matmul(w.type, w.data, w.rows, w.cols, part.data, n, logits, c.team);
    c.team.parallel_for(static_cast<size_t>(n), 8, [&](size_t b, size_t e) {
      for (size_t i = b; i < e; ++i) {
        float* row = logits + static_cast<int64_t>(i) * w.rows;
        losses[static_cast<size_t>(first) + i] = loss_of(which[i], row, c.tape != nullptr);
        if (c.tape)
          for (int64_t j = 0; j < w.rows; ++j) row[j] *= each;
      }
    });
    if (!c.tape) continue;
    if (part.grad) {
      if (!all) std::memset(part.grad, 0, static_cast<size_t>(n * x.cols) * sizeof(float));
      if (w.type == ElementType::kF32)
        product(c, Transpose::kNo, Transpose::kNo, n, w.cols, w.rows, logits, w.rows, w.f32(), w.cols, part.grad, x.cols, true);
      else
        input_gradient_stored(c, w, Tensor{nullptr, logits, n, w.rows}, part);
      if (!all)
        for (int64_t i = 0; i < n; ++i) cpu::row_kernels().add(x.grad_row(which[i]), part.grad_row(i), x.grad_row(which[i]), x.cols);
    }
    if (w.grad) product(c, Transpose::kYes, Transpose::kNo, w.rows, w.cols, n, logits, w.rows, part.data, x.cols, w.grad, w.cols, true);
  }
  c.arena.release(mark);
  double sum = 0;
  for (double loss : losses) sum += loss;
  return sum;
}

// Cross-entropy; the row becomes probabilities minus the target.
double cross_entropy(float* row, int64_t n, int32_t target) {
  const float right = row[target];
  const double loss = cpu::row_kernels().softmax(row, n) - right;
  row[target] -= 1;
  return loss;
}

}  // namespace

double head_loss(const Context& c, Tensor x, const Weight& w, std::span<const int32_t> targets, float weight, int64_t* count) {
  return over_rows(c, x, w, targets, weight, count, [&](int64_t i, float* row, bool) { return cross_entropy(row, w.rows, targets[static_cast<size_t>(i)]); });
}

double head_distil(const Context& c, Tensor x, const Weight& w, std::span<const int32_t> targets, const TeacherRows& teacher, float soft,
                   float temperature, float weight, int64_t* count) {
  const int64_t v = w.rows;
  return over_rows(c, x, w, targets, weight, count, [&](int64_t index, float* row, bool gradient) {
    thread_local std::vector<float> softened, p;
    const int32_t* tokens = teacher.tokens + index * teacher.k;
    p.assign(teacher.logits + index * teacher.k, teacher.logits + (index + 1) * teacher.k);
    for (float& one : p) one /= temperature;
    const float norm = cpu::row_kernels().softmax(p.data(), teacher.k);
    softened.resize(static_cast<size_t>(v));
    for (int64_t j = 0; j < v; ++j) softened[static_cast<size_t>(j)] = row[j] / temperature;
    double cross = 0;  // sum of p log q before the normaliser of q is taken off
    double entropy = 0;
    for (int64_t j = 0; j < teacher.k; ++j) {
      const double chance = p[static_cast<size_t>(j)];
      cross += chance * softened[static_cast<size_t>(tokens[j])];
      entropy += chance * (teacher.logits[index * teacher.k + j] / temperature - norm);
    }
    const double divergence = entropy - cross + cpu::row_kernels().softmax(softened.data(), v);
    const double hard = cross_entropy(row, v, targets[static_cast<size_t>(index)]);
    if (gradient) {
      const float by = soft * temperature;  // temperature^2 / temperature
      for (int64_t j = 0; j < v; ++j) row[j] = (1 - soft) * row[j] + by * softened[static_cast<size_t>(j)];
      for (int64_t j = 0; j < teacher.k; ++j) row[tokens[j]] -= by * p[static_cast<size_t>(j)];
    }
    return (1 - static_cast<double>(soft)) * hard + static_cast<double>(soft) * temperature * temperature * divergence;
  });
}

}  // namespace ingot
