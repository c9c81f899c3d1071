#include "ops/encoder_ops.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/gemm.h"

namespace ingot {
namespace {

constexpr size_t kGrain = 1 << 14;

// Eight partial sums in a fixed order, which the length alone decides.
template <class F>
float sum_of(int64_t n, const F& term) {
  float part[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) part[j] += term(i + j);
  for (; i < n; ++i) part[i % 8] += term(i);
  return ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]));
}

ThreadTeam& one_thread() {
  static thread_local ThreadTeam team(1);
  return team;
}

}  // namespace

Tensor layer_norm(const Context& c, Tensor x, const Weight& weight, const Weight& bias, float epsilon) {
  if (weight.cols != x.cols || bias.cols != x.cols)
    bad_input("a norm does not fit its input: " + std::to_string(weight.cols) + " wide, the input has " + std::to_string(x.cols), weight.name,
              "the model file is inconsistent; fetch it again");
  Tensor y = c.make(x.rows, x.cols);
  const int64_t n = x.cols;
  c.team.parallel_for(static_cast<size_t>(x.rows), kGrain / static_cast<size_t>(n) + 1, [&](size_t from, size_t to) {
    for (auto r = static_cast<int64_t>(from); r < static_cast<int64_t>(to); ++r) {
      const float *in = x.row(r), *w = weight.f32(), *b = bias.f32();
      float* out = y.row(r);
      const float mean = sum_of(n, [&](int64_t i) { return in[i]; }) / static_cast<float>(n);
      const float variance = sum_of(n, [&](int64_t i) { return (in[i] - mean) * (in[i] - mean); }) / static_cast<float>(n);
      const float inverse = 1.0f / std::sqrt(variance + epsilon);
      for (int64_t i = 0; i < n; ++i) out[i] = (in[i] - mean) * inverse * w[i] + b[i];
    }
  });
  return y;
}

void gelu(const Context& c, Tensor x) {
  c.team.parallel_for(static_cast<size_t>(x.size()), kGrain / 2, [&](size_t from, size_t to) {
    cpu::row_kernels().gelu(x.data + from, x.data + from, static_cast<int64_t>(to - from));
  });
}

Tensor attend_whole(const Context& c, Tensor q, Tensor k, Tensor v, int64_t d, std::span<const int32_t> lengths, float scale) {
  const int64_t heads = q.cols / d;
  int64_t longest = 0, rows = 0;
  for (int32_t n : lengths) longest = std::max<int64_t>(longest, n), rows += n;
  if (heads * d != q.cols || k.cols != q.cols || v.cols != q.cols || rows != q.rows)
    throw Error(ErrorKind::internal, "attention's shapes do not fit", "attend_whole", "report this");
  Tensor y = c.make(q.rows, q.cols);
  auto mark = c.arena.mark();
  const int64_t scratch = longest * longest;
  float* room = c.arena.floats(scratch * c.team.size());
  const auto jobs = static_cast<int64_t>(lengths.size()) * heads;
  c.team.run([&](int part, int of) {
    float* p = room + part * scratch;
    int64_t first = 0, job = 0;
    for (int32_t n : lengths) {
      for (int64_t h = 0; h < heads; ++h, ++job) {
        if (job * of / jobs != part) continue;  // contiguous shares
        gemm_f32(Transpose::kNo, Transpose::kYes, n, n, d, q.row(first) + h * d, q.cols, k.row(first) + h * d, k.cols, p, n, false, one_thread());
        for (int64_t r = 0; r < n; ++r) {
          for (int64_t j = 0; j < n; ++j) p[r * n + j] *= scale;
          cpu::row_kernels().softmax(p + r * n, n);
        }
        gemm_f32(Transpose::kNo, Transpose::kNo, n, d, n, p, n, v.row(first) + h * d, v.cols, y.row(first) + h * d, y.cols, false, one_thread());
      }
      first += n;
    }
  });
  c.arena.release(mark);
  return y;
}

}  // namespace ingot
