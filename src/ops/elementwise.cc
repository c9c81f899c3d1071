#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "ops/ops.h"

namespace ingot {
namespace {

constexpr size_t kGrain = 1 << 14;

size_t row_grain(int64_t cols) { return kGrain / static_cast<size_t>(cols) + 1; }

}  // namespace

Tensor add(const Context& c, Tensor a, Tensor b) {
  Tensor y = c.make(a.rows, a.cols);
  c.team.parallel_for(static_cast<size_t>(y.size()), kGrain, [&](size_t from, size_t to) {
    cpu::row_kernels().add(a.data + from, b.data + from, y.data + from, static_cast<int64_t>(to - from));
  });
  if (c.tape) {
    c.tape->record([c, a, b, y] {
      c.team.parallel_for(static_cast<size_t>(y.size()), kGrain, [&](size_t from, size_t to) {
        auto n = static_cast<int64_t>(to - from);
        if (a.grad) cpu::row_kernels().add(a.grad + from, y.grad + from, a.grad + from, n);
        if (b.grad) cpu::row_kernels().add(b.grad + from, y.grad + from, b.grad + from, n);
      });
    });
  }
  return y;
}

Tensor scale(const Context& c, Tensor x, float by) {
  Tensor y = c.make(x.rows, x.cols);
  for (int64_t i = 0; i < x.size(); ++i) y.data[i] = x.data[i] * by;
  if (c.tape && x.grad) c.tape->record([x, y, by] { cpu::row_kernels().add_scaled(x.grad, by, y.grad, x.size()); });
  return y;
}

Tensor rms_norm(const Context& c, Tensor x, const Weight& weight, float epsilon) {
  const int64_t width = weight.cols, parts = x.cols / width, count = x.rows * parts;
  if (parts * width != x.cols)
    bad_input("a norm does not fit its input: " + std::to_string(width) + " wide, the input has " + std::to_string(x.cols), weight.name,
              "the model file is inconsistent; fetch it again");
  Tensor y = c.make(x.rows, x.cols);
  float* inverse = c.arena.floats(count);
  c.team.parallel_for(static_cast<size_t>(count), row_grain(width), [&](size_t from, size_t to) {
    for (auto r = static_cast<int64_t>(from); r < static_cast<int64_t>(to); ++r)
      inverse[r] = cpu::row_kernels().rms_norm(x.data + r * width, weight.f32(), epsilon, y.data + r * width, width);
  });
  if (c.tape) {
    c.tape->record([c, x, weight, y, inverse, width, count] {
      // The weight's gradient sums over rows: a fixed number of partial sums keeps that order free of the thread count.
      constexpr int64_t kParts = 16;
      auto mark = c.arena.mark();
      float* partial = c.arena.floats(kParts * width);
      std::memset(partial, 0, static_cast<size_t>(kParts * width) * sizeof(float));
      c.team.parallel_for(kParts, 1, [&](size_t from, size_t to) {
        for (auto p = static_cast<int64_t>(from); p < static_cast<int64_t>(to); ++p)
          for (int64_t r = count * p / kParts; r < count * (p + 1) / kParts; ++r)
            cpu::row_kernels().rms_norm_backward(y.grad + r * width, x.data + r * width, weight.f32(), inverse[r],
                                                 x.grad + r * width, weight.grad ? partial + p * width : nullptr, width);
      });
      if (weight.grad)
        for (int64_t p = 0; p < kParts; ++p) cpu::row_kernels().add(weight.grad, partial + p * width, weight.grad, width);
      c.arena.release(mark);
    });
  }
  return y;
}

namespace {

using Gate = void (*)(const float*, const float*, float*, int64_t);
using GateBackward = void (*)(const float*, const float*, const float*, float*, float*, int64_t);

Tensor gated(const Context& c, Tensor gate, Tensor up, Gate forward, GateBackward backward) {
  Tensor y = c.make(gate.rows, gate.cols);
  c.team.parallel_for(static_cast<size_t>(y.size()), kGrain, [&](size_t from, size_t to) {
    forward(gate.data + from, up.data + from, y.data + from, static_cast<int64_t>(to - from));
  });
  if (c.tape) {
    c.tape->record([c, gate, up, y, backward] {
      c.team.parallel_for(static_cast<size_t>(y.size()), kGrain, [&](size_t from, size_t to) {
        backward(y.grad + from, gate.data + from, up.data + from, gate.grad + from, up.grad + from, static_cast<int64_t>(to - from));
      });
    });
  }
  return y;
}

// The base of dynamic scaling at a position, 0 within the trained context.
double grown_base(const Rope& rope, int32_t position) {
  const auto d = static_cast<double>(rope.dims), trained = static_cast<double>(rope.growth.trained);
  if (!rope.growth.trained || position < rope.growth.trained || rope.dims <= 2) return 0;
  const double length = static_cast<double>(position) + 1;
  return rope.growth.base * std::pow(rope.growth.factor * length / trained - (rope.growth.factor - 1), d / (d - 2));
}

}  // namespace

Tensor swiglu(const Context& c, Tensor gate, Tensor up) {
  return gated(c, gate, up, cpu::row_kernels().silu_times, cpu::row_kernels().silu_times_backward);
}

Tensor geglu(const Context& c, Tensor gate, Tensor up) {
  return gated(c, gate, up, cpu::row_kernels().gelu_times, cpu::row_kernels().gelu_times_backward);
}

void soft_cap(const Context& c, Tensor x, float cap) {
  c.team.parallel_for(static_cast<size_t>(x.size()), kGrain, [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) x.data[i] = cap * std::tanh(x.data[i] / cap);
  });
}

Tensor rotate(const Context& c, Tensor x, int64_t head_size, const Rope& rope, std::span<const int32_t> positions) {
  Tensor y = c.make(x.rows, x.cols);
  const int64_t half = rope.dims / 2;
  float* angles = c.arena.floats(x.rows * rope.dims);  // cos then sin, a row a position
  c.team.parallel_for(static_cast<size_t>(x.rows), 16, [&](size_t from, size_t to) {
    for (auto r = static_cast<int64_t>(from); r < static_cast<int64_t>(to); ++r) {
      float* cs = angles + r * rope.dims;
      auto position = static_cast<float>(positions[static_cast<size_t>(r)]);
      const double grown = grown_base(rope, positions[static_cast<size_t>(r)]);
      for (int64_t i = 0; i < half; ++i) {
        float angle = position * (grown > 0 ? static_cast<float>(std::pow(grown, -static_cast<double>(i) / static_cast<double>(half))) : rope.inverse_frequency[i]);
        cs[i] = std::cos(angle) * rope.magnitude;
        cs[half + i] = std::sin(angle) * rope.magnitude;
      }
    }
  });
  // Backward is the turn the other way.
  auto turn = [head_size, half, rope, angles](const float* in, float* out, int64_t cols, int64_t r, float sign, bool adds) {
    const float* cs = angles + r * rope.dims;
    const bool pairs = rope.layout == RopeLayout::kPairs;
    for (int64_t h = 0; h < cols; h += head_size) {
      for (int64_t i = 0; i < half; ++i) {
        int64_t p = h + (pairs ? 2 * i : i), q = h + (pairs ? 2 * i + 1 : i + half);
        float a = in[p], b = in[q], s = sign * cs[half + i];
        float left = a * cs[i] - b * s, right = a * s + b * cs[i];
        out[p] = adds ? out[p] + left : left;
        out[q] = adds ? out[q] + right : right;
      }
      for (int64_t i = rope.dims; i < head_size; ++i) out[h + i] = adds ? out[h + i] + in[h + i] : in[h + i];
    }
  };
  auto all = [c, turn](const float* in, float* out, int64_t rows, int64_t cols, float sign, bool adds) {
    c.team.parallel_for(static_cast<size_t>(rows), row_grain(cols), [&](size_t from, size_t to) {
      for (auto r = static_cast<int64_t>(from); r < static_cast<int64_t>(to); ++r) turn(in + r * cols, out + r * cols, cols, r, sign, adds);
    });
  };
  all(x.data, y.data, x.rows, x.cols, 1, false);
  if (c.tape) c.tape->record([x, y, all] { all(y.grad, x.grad, x.rows, x.cols, -1, true); });
  return y;
}

}  // namespace ingot
