// A few rows of x times interleaved weights in one pass over them, nothing stored in between: what decoding spends its time in.
#pragma once

#include "kernels/cpu/quant_dot.h"
#include "kernels/cpu/quant_formats.h"

namespace ingot::cpu {
namespace {

// More rows would not leave registers for the sums: from here on a panel is expanded once and used by all.
constexpr int kStreamRows = 2;


template <class F, int R>
struct StreamSink {
  explicit StreamSink(const Activations& activations) : x(activations) {}
  static constexpr int kParts = F::length / 32 * F::sub;
  const Activations& x;
  int64_t block = 0;  // the first of 32 in this block
  alignas(64) float scales[kParts][16], mins[F::minima ? kParts : 1][16];
  alignas(64) int32_t dots[kParts][R][16];

  struct Part {
    StreamSink& sink;
    const int8_t* quants;
    const int32_t* start;
    int at;
    W16 sum[R];

    INGOT_INLINE void step(int s, W16 bytes) {
      W16 w = operand<F::width>(bytes);
      unrolled<R>([&](auto r) { sum[r] = dot_step<F::width>(sum[r], w, four_bytes(quants + r * sink.x.quants_stride + 4 * s)); });
    }
    INGOT_INLINE void close() {
      unrolled<R>([&](auto r) { put(sink.dots[at][r], dot_end<F::width>(sum[r], start[r * sink.x.scales_stride * F::sub])); });
    }
  };

  INGOT_INLINE void scale(int i, F16x f) { store(scales[i], f); }
  INGOT_INLINE void min(int i, F16x f) { store(mins[i], f); }
  INGOT_INLINE Part open(int b, int part) {
    Part p{*this, x.quants + (block + b) * 32, x.start + (block + b) * F::sub + part, b * F::sub + part, {}};
    unrolled<R>([&](auto r) { p.sum[r] = dot_begin<F::width>(p.start[r * x.scales_stride * F::sub]); });
    return p;
  }
};

template <class F, int R>
void stream_group(const uint8_t* w, int64_t blocks, const Activations& x, float* y, int64_t ldy) {
  StreamSink<F, R> sink(x);
  F16x sum[R];
  for (int r = 0; r < R; ++r) sum[r] = zero();
  for (; sink.block < blocks; sink.block += F::length / 32, w += F::bytes * 16) {
    // What is read next comes from memory in time; in a super-block, whose parts are read back and forth, that is a block later.
    F::visit(InterleavedRows<F::length == 32 ? 1536 : 4096>{w}, sink);
    for (int i = 0; i < sink.kParts; ++i)
      unrolled<R>([&](auto r) {
        const int64_t b = sink.block + i / F::sub;
        F16x d = splat(x.scales[r * x.scales_stride + b]);
        sum[r] = fma(mul(load(sink.scales[i]), d), floats(words(sink.dots[i][r])), sum[r]);
        if constexpr (F::minima)
          sum[r] = fma(load(sink.mins[i]), splat(x.sums[(r * x.scales_stride + b) * F::sub + i % F::sub]), sum[r]);
      });
  }
  for (int r = 0; r < R; ++r) store(y + r * ldy, sum[r]);
}

void stream(ElementType type, const uint8_t* w, int rows, int64_t blocks, const Activations& x, float* y, int64_t ldy) {
  with_format(type, [&](auto f) {
    if (rows == 1) return stream_group<decltype(f), 1>(w, blocks, x, y, ldy);
    stream_group<decltype(f), 2>(w, blocks, x, y, ldy);
  });
}

}  // namespace
}  // namespace ingot::cpu
