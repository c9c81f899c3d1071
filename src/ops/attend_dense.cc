#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/gemm.h"
#include "ops/ops.h"

namespace ingot {
namespace {

// One head of one sequence; products run on the calling thread, heads in parallel.
ThreadTeam& one_thread() {
  static thread_local ThreadTeam team(1);
  return team;
}

// Probabilities of one head: [length, length], zero above the diagonal.
void probabilities(const float* q, int64_t q_stride, const float* k, int64_t k_stride, int64_t length, int64_t d, float scale, float* p) {
  gemm_f32(Transpose::kNo, Transpose::kYes, length, length, d, q, q_stride, k, k_stride, p, length, false, one_thread());
  for (int64_t r = 0; r < length; ++r) {
    float* row = p + r * length;
    for (int64_t j = 0; j <= r; ++j) row[j] *= scale;
    cpu::row_kernels().softmax(row, r + 1);
    std::memset(row + r + 1, 0, static_cast<size_t>(length - r - 1) * sizeof(float));
  }
}

}  // namespace

Tensor attend_dense(const Context& c, Tensor q, Tensor k, Tensor v, int64_t d, int64_t length, float scale) {
  const int64_t heads = q.cols / d, groups = k.cols / d, share = heads / groups;
  if (heads * d != q.cols || groups * d != k.cols || share * groups != heads || q.rows % length)
    bad_input("attention's shapes do not fit", "attend_dense", "this is a fault of the model's code");
  Tensor y = c.make(q.rows, q.cols);
  const int64_t sequences = q.rows / length, scratch = length * length;
  const int parts = c.team.size();
  auto mark = c.arena.mark();
  float* room = c.arena.floats(scratch * parts);
  c.team.run([&](int part, int of) {
    float* p = room + part * scratch;
    for (int64_t job = part; job < sequences * heads; job += of) {
      int64_t first = job / heads * length, h = job % heads, g = h / share;
      probabilities(q.row(first) + h * d, q.cols, k.row(first) + g * d, k.cols, length, d, scale, p);
      gemm_f32(Transpose::kNo, Transpose::kNo, length, d, length, p, length, v.row(first) + g * d, v.cols, y.row(first) + h * d, y.cols, false,
               one_thread());
    }
  });
  c.arena.release(mark);
  if (!c.tape) return y;
  c.tape->record([c, q, k, v, y, d, length, scale, heads, groups, share, sequences, scratch, parts] {
    auto mark = c.arena.mark();
    float* room = c.arena.floats(2 * scratch * parts);
    // A job is one group, so that one thread adds to its keys and values.
    c.team.run([&](int part, int of) {
      float *p = room + 2 * part * scratch, *dp = p + scratch;
      for (int64_t job = part; job < sequences * groups; job += of) {
        int64_t first = job / groups * length, g = job % groups;
        for (int64_t h = g * share; h < (g + 1) * share; ++h) {
          const float *qh = q.row(first) + h * d, *kg = k.row(first) + g * d, *vg = v.row(first) + g * d;
          const float* dy = y.grad_row(first) + h * d;
          probabilities(qh, q.cols, kg, k.cols, length, d, scale, p);
          gemm_f32(Transpose::kYes, Transpose::kNo, length, d, length, p, length, dy, y.cols, v.grad_row(first) + g * d, v.cols, true,
                   one_thread());
          gemm_f32(Transpose::kNo, Transpose::kYes, length, length, d, dy, y.cols, vg, v.cols, dp, length, false, one_thread());
          for (int64_t r = 0; r < length; ++r) {
            float *pr = p + r * length, *dr = dp + r * length;
            float mean = cpu::row_kernels().dot(pr, dr, r + 1);
            for (int64_t j = 0; j <= r; ++j) dr[j] = pr[j] * (dr[j] - mean) * scale;
            std::memset(dr + r + 1, 0, static_cast<size_t>(length - r - 1) * sizeof(float));
          }
          gemm_f32(Transpose::kNo, Transpose::kNo, length, d, length, dp, length, kg, k.cols, q.grad_row(first) + h * d, q.cols, true,
                   one_thread());
          gemm_f32(Transpose::kYes, Transpose::kNo, length, d, length, dp, length, qh, q.cols, k.grad_row(first) + g * d, k.cols, true,
                   one_thread());
        }
      }
    });
    c.arena.release(mark);
  });
  return y;
}

}  // namespace ingot
