#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/gemm.h"
#include "ops/ops.h"

namespace ingot {
namespace {

// Query rows of a block; what lies above the diagonal is left out by whole blocks. Four register tiles high, and a block of scores
// against 512 keys (128 KiB) stays in L2 with its gradient.
constexpr int64_t kBlock = 64;

// One head of one sequence; products run on the calling thread, heads in parallel.
ThreadTeam& one_thread() {
  static thread_local ThreadTeam team(1);
  return team;
}

// Where one head of one sequence lies.
struct Head {
  const float *q, *k, *v;
  int64_t q_stride, kv_stride, length, d;
  float scale;
};

// Probabilities of the query rows [r0, r1): p [r1 - r0, r1], zero above the diagonal.
void probabilities(const Head& h, int64_t r0, int64_t r1, float* p) {
  gemm_f32(Transpose::kNo, Transpose::kYes, r1 - r0, r1, h.d, h.q + r0 * h.q_stride, h.q_stride, h.k, h.kv_stride, p, r1, false, one_thread());
  for (int64_t r = r0; r < r1; ++r) {
    float* row = p + (r - r0) * r1;
    for (int64_t j = 0; j <= r; ++j) row[j] *= h.scale;
    cpu::row_kernels().softmax(row, r + 1);
    std::memset(row + r + 1, 0, static_cast<size_t>(r1 - r - 1) * sizeof(float));
  }
}

// Jobs are taken by whoever is free: which thread does one changes nothing in it.
void share_out(ThreadTeam& team, int64_t jobs, const std::function<void(int64_t job, int part)>& fn) {
  std::atomic<int64_t> next{0};
  team.run([&](int part, int) {
    for (int64_t job; (job = next.fetch_add(1, std::memory_order_relaxed)) < jobs;) fn(job, part);
  });
}

}  // namespace

Tensor attend_dense(const Context& c, Tensor q, Tensor k, Tensor v, int64_t d, std::span<const int64_t> starts, float scale) {
  const int64_t heads = q.cols / d, groups = k.cols / d, share = heads / groups;
  if (heads * d != q.cols || groups * d != k.cols || share * groups != heads || starts.size() < 2 || starts.back() != q.rows)
    bad_input("attention's shapes do not fit", "attend_dense", "this is a fault of the model's code");
  Tensor y = c.make(q.rows, q.cols);
  const auto sequences = static_cast<int64_t>(starts.size()) - 1;
  int64_t longest = 0;
  for (size_t i = 0; i + 1 < starts.size(); ++i) longest = std::max(longest, starts[i + 1] - starts[i]);
  const int64_t scratch = kBlock * longest;
  auto head_at = [q, k, v, d, scale, share](int64_t first, int64_t length, int64_t h) {
    return Head{q.row(first) + h * d, k.row(first) + h / share * d, v.row(first) + h / share * d, q.cols, k.cols, length, d, scale};
  };
  auto mark = c.arena.mark();
  float* room = c.arena.floats(scratch * c.team.size());
  share_out(c.team, sequences * heads, [&](int64_t job, int part) {
    const auto s = static_cast<size_t>(job / heads);
    const int64_t first = starts[s], length = starts[s + 1] - first, h = job % heads;
    const Head head = head_at(first, length, h);
    float* p = room + part * scratch;
    for (int64_t r0 = 0; r0 < length; r0 += kBlock) {
      const int64_t r1 = std::min(length, r0 + kBlock);
      probabilities(head, r0, r1, p);
      gemm_f32(Transpose::kNo, Transpose::kNo, r1 - r0, d, r1, p, r1, head.v, head.kv_stride, y.row(first + r0) + h * d, y.cols, false, one_thread());
    }
  });
  c.arena.release(mark);
  if (!c.tape) return y;
  c.tape->record([c, q, k, v, y, d, scale, groups, share, sequences, scratch, head_at, starts = std::vector<int64_t>(starts.begin(), starts.end())] {
    auto mark = c.arena.mark();
    float* room = c.arena.floats(2 * scratch * c.team.size());
    // A job is one group, so that one thread adds to its keys and values.
    share_out(c.team, sequences * groups, [&](int64_t job, int part) {
      float *p = room + 2 * part * scratch, *dp = p + scratch;
      const auto s = static_cast<size_t>(job / groups);
      const int64_t first = starts[s], length = starts[s + 1] - first, g = job % groups;
      float *dk = k.grad_row(first) + g * d, *dv = v.grad_row(first) + g * d;
      for (int64_t h = g * share; h < (g + 1) * share; ++h) {
        const Head head = head_at(first, length, h);
        for (int64_t r0 = 0; r0 < length; r0 += kBlock) {
          const int64_t r1 = std::min(length, r0 + kBlock), rows = r1 - r0;
          const float* dy = y.grad_row(first + r0) + h * d;
          probabilities(head, r0, r1, p);
          gemm_f32(Transpose::kYes, Transpose::kNo, r1, d, rows, p, r1, dy, y.cols, dv, v.cols, true, one_thread());
          gemm_f32(Transpose::kNo, Transpose::kYes, rows, r1, d, dy, y.cols, head.v, v.cols, dp, r1, false, one_thread());
          for (int64_t r = r0; r < r1; ++r) {
            float *pr = p + (r - r0) * r1, *dr = dp + (r - r0) * r1;
            const float mean = cpu::row_kernels().dot(pr, dr, r + 1);
            for (int64_t j = 0; j <= r; ++j) dr[j] = pr[j] * (dr[j] - mean) * scale;
            std::memset(dr + r + 1, 0, static_cast<size_t>(r1 - r - 1) * sizeof(float));
          }
          gemm_f32(Transpose::kNo, Transpose::kNo, rows, d, r1, dp, r1, head.k, k.cols, q.grad_row(first + r0) + h * d, q.cols, true, one_thread());
          gemm_f32(Transpose::kYes, Transpose::kNo, r1, d, rows, dp, r1, head.q + r0 * q.cols, q.cols, dk, k.cols, true, one_thread());
        }
      }
    });
    c.arena.release(mark);
  });
  return y;
}

Tensor attend_dense(const Context& c, Tensor q, Tensor k, Tensor v, int64_t d, int64_t length, float scale) {
  std::vector<int64_t> starts;
  for (int64_t at = 0; at <= q.rows; at += length) starts.push_back(at);
  return attend_dense(c, q, k, v, d, starts, scale);
}

}  // namespace ingot
