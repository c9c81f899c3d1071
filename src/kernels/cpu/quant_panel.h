// Block formats into panels (quant_kernels.h), from rows as stored or interleaved ones; and the interleaving itself.
#pragma once

#include "kernels/cpu/quant_dot.h"
#include "kernels/cpu/quant_formats.h"

namespace ingot::cpu {
namespace {

template <class F>
struct PanelSink {
  uint8_t* quants;
  float *scales, *mins;

  struct Part {
    uint8_t* to;
    INGOT_INLINE void step(int s, W16 bytes) { put(to + 64 * s, operand<F::width>(bytes)); }
    INGOT_INLINE void close() {}
  };
  INGOT_INLINE void scale(int i, F16x f) { store(scales + 16 * i, f); }
  INGOT_INLINE void min(int i, F16x f) { store(mins + 16 * i, f); }
  INGOT_INLINE Part open(int block, int) { return {quants + 512 * block}; }
};

template <class F>
void pack_format(const uint8_t* w, int64_t stride, int rows, int64_t k0, int64_t depth, int64_t ahead, uint8_t* quants, float* scales,
                 float* mins) {
  const int64_t blocks = depth / 32;
  for (int g = 0; g < 2; ++g) {
    int64_t offsets[16];
    for (int r = 0; r < 16; ++r) offsets[r] = (g * 16 + r < rows ? g * 16 + r : rows - 1) * stride;
    const uint8_t* p = w + k0 / F::length * F::bytes;
    PanelSink<F> out{quants + g * blocks * 512, scales + g * blocks * 16 * F::sub, F::minima ? mins + g * blocks * 16 * F::sub : nullptr};
    for (int64_t b = 0; b < depth / F::length; ++b, p += F::bytes) {
      for (int r = 0; r < 16; ++r)
        for (int line = 0; line < F::bytes; line += 64) __builtin_prefetch(p + offsets[r] + ahead + line);
      F::visit(StoredRows{p, offsets}, out);
      out.quants += F::length * 16;
      out.scales += F::length / 2 * F::sub;
      if (F::minima) out.mins += F::length / 2 * F::sub;
    }
  }
}

void pack_panel(ElementType type, const uint8_t* w, int64_t stride, int rows, int64_t k0, int64_t depth, int64_t ahead, uint8_t* q, float* s,
                float* m) {
  with_format(type, [&](auto f) { pack_format<decltype(f)>(w, stride, rows, k0, depth, ahead, q, s, m); });
}

template <class F>
void expand_format(const uint8_t* w, int64_t group_stride, int groups, int64_t k0, int64_t depth, uint8_t* quants, float* scales, float* mins) {
  const int64_t blocks = depth / 32;
  for (int g = 0; g < groups; ++g) {
    const uint8_t* p = w + g * group_stride + k0 / F::length * (F::bytes * 16);
    PanelSink<F> out{quants + g * blocks * 512, scales + g * blocks * 16 * F::sub, F::minima ? mins + g * blocks * 16 * F::sub : nullptr};
    for (int64_t b = 0; b < depth / F::length; ++b, p += F::bytes * 16) {
      F::visit(InterleavedRows<0>{p}, out);
      out.quants += F::length * 16;
      out.scales += F::length / 2 * F::sub;
      if (F::minima) out.mins += F::length / 2 * F::sub;
    }
  }
}

void expand_panel(ElementType type, const uint8_t* w, int64_t group_stride, int groups, int64_t k0, int64_t depth, uint8_t* q, float* s,
                  float* m) {
  with_format(type, [&](auto f) { expand_format<decltype(f)>(w, group_stride, groups, k0, depth, q, s, m); });
}

constexpr int kInterleaveAhead = 512;  // bytes

template <class F>
void interleave_format(const uint8_t* w, int64_t stride, int rows, int64_t blocks, uint8_t* out) {
  constexpr int first = F::half_at == 0 ? 2 : 0, count = (F::bytes - (F::half_at >= 0 ? 2 : 0)) / 4;
  static_assert(first + 4 * count + (F::half_at > 0 ? 2 : 0) == F::bytes);
  int64_t offsets[16];
  for (int r = 0; r < 16; ++r) offsets[r] = (r < rows ? r : rows - 1) * stride;
  for (int64_t b = 0; b < blocks; ++b, w += F::bytes, out += 16 * F::bytes) {
    const StoredRows source{w, offsets};
    for (int r = 0; r < 16; ++r) __builtin_prefetch(w + offsets[r] + kInterleaveAhead, 0, 0);  // sixteen streams are more than the hardware follows
    for (int i = 0; i < count / 4 * 4; i += 4) {
      auto quad = source.quad(first + 4 * i);
      for (int j = 0; j < 4; ++j) put(out + 16 * (first + 4 * (i + j)), quad[j]);
    }
    for (int i = count / 4 * 4; i < count; ++i) put(out + 16 * (first + 4 * i), source.one(first + 4 * i));
    if constexpr (F::half_at >= 0)
      for (int r = 0; r < 16; ++r) std::memcpy(out + 16 * F::half_at + 2 * r, w + offsets[r] + F::half_at, 2);
  }
}

void interleave(ElementType type, const uint8_t* w, int64_t stride, int rows, int64_t k, uint8_t* out) {
  with_format(type, [&](auto f) { interleave_format<decltype(f)>(w, stride, rows, k / decltype(f)::length, out); });
}

}  // namespace
}  // namespace ingot::cpu
