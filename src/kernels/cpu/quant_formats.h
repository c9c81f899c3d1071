// How each block format is read, 16 rows at a time: a visitor takes the block from a source and gives a sink scales, minima and
// quants in panel order (quant_kernels.h). Sources: rows as GGUF stores them, or interleaved ones; sinks: a panel, or a product.
#pragma once

#include "kernels/cpu/word16.h"

namespace ingot::cpu {
namespace {

// Sixteen rows as stored: words of different rows are brought side by side on the way.
struct StoredRows {
  const uint8_t* base;     // of row 0's current block
  const int64_t* offsets;  // of each row, 16 of them

  struct Quad {
    W16 c[4];
    INGOT_INLINE W16 operator[](int j) const { return c[j]; }
  };
  INGOT_INLINE Quad quad(int at) const {
    Quad q;
    transpose16(base + at, offsets, q.c);
    return q;
  }
  INGOT_INLINE W16 one(int at) const {
    alignas(64) uint32_t v[16];
    for (int r = 0; r < 16; ++r) std::memcpy(&v[r], base + offsets[r] + at, 4);
    return words(v);
  }
  INGOT_INLINE F16x half(int at) const {
    alignas(64) uint16_t v[16];
    for (int r = 0; r < 16; ++r) std::memcpy(&v[r], base + offsets[r] + at, 2);
    return load(v);
  }
};

// Sixteen rows interleaved: what stands at byte `at` of a block, 4 or 2 bytes wide, stands for all rows together at 16 * at.
// kAhead: bytes beyond the block from which on memory is fetched, a line with each read, in the order of memory and not of the reads: the
// hardware follows no jumps. All lines of a block in one burst fill the core's miss buffers, which then stand empty while the block is
// computed, so that reading and computing take turns: 10 to 25 % of the speed of super-blocks.
template <int kAhead>
struct InterleavedRows {
  const uint8_t* base;
  mutable const uint8_t* ahead = base + kAhead;

  INGOT_INLINE void fetch() const {
    if constexpr (kAhead > 0) __builtin_prefetch(ahead), ahead += 64;
  }
  INGOT_INLINE W16 read(const uint8_t* p) const {
    fetch();
    return words(p);
  }
  struct Quad {
    const InterleavedRows& rows;
    const uint8_t* p;
    INGOT_INLINE W16 operator[](int j) const { return rows.read(p + 64 * j); }
  };
  INGOT_INLINE Quad quad(int at) const { return {*this, base + 16 * at}; }
  INGOT_INLINE W16 one(int at) const { return read(base + 16 * at); }
  INGOT_INLINE F16x half(int at) const {
    fetch();
    return load(reinterpret_cast<const uint16_t*>(base + 16 * at));
  }
};

constexpr uint32_t kLow4 = 0x0f0f0f0f, kLow2 = 0x03030303, kLow1 = 0x01010101, kHigh2 = 0x30303030, kThird = 0x04040404;

// Four bits (lowest first) to bit 4 of four bytes.
INGOT_INLINE W16 spread_bit(W16 x) { return ((x & 1u) << 4) | ((x & 2u) << 11) | ((x & 4u) << 18) | ((x & 8u) << 25); }
INGOT_INLINE W16 nibble(W16 c, int side) { return (side ? c >> 4 : c) & kLow4; }
INGOT_INLINE F16x high_halves(W16 c) { return low_halves(c >> 16); }

// A sink has scale(i, f), min(i, f) for part i of the block, and open(block, part), which returns something with
// step(s, bytes) for the part's steps (a step is 4 consecutive k) and close().

template <class S, class K>
INGOT_INLINE void four_bit(const S& rows, K& out, int at) {
  auto dot = out.open(0, 0);
  auto c = rows.quad(at);
  unrolled<4>([&](auto j) { dot.step(j, c[j] & kLow4); });
  unrolled<4>([&](auto j) { dot.step(4 + j, nibble(c[j], 1)); });
  dot.close();
}

template <class S, class K>
INGOT_INLINE void five_bit(const S& rows, K& out, int high_at, int at) {
  auto dot = out.open(0, 0);
  W16 high = rows.one(high_at);
  auto c = rows.quad(at);
  unrolled<4>([&](auto j) { dot.step(j, (c[j] & kLow4) | spread_bit(high >> (4 * j))); });
  unrolled<4>([&](auto j) { dot.step(4 + j, nibble(c[j], 1) | spread_bit(high >> (16 + 4 * j))); });
  dot.close();
}

template <class S, class K>
INGOT_INLINE void non_linear(const S& rows, K& out, int at, int block) {
  auto dot = out.open(block, 0);
  auto c = rows.quad(at);
  unrolled<4>([&](auto j) { dot.step(j, look_up(c[j] & kLow4)); });
  unrolled<4>([&](auto j) { dot.step(4 + j, look_up(nibble(c[j], 1))); });
  dot.close();
}

struct FormatQ4_0 {
  static constexpr ElementType type = ElementType::kQ4_0;
  static constexpr int length = 32, bytes = 18, sub = 1, offset = 8, half_at = 0;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    out.scale(0, rows.half(0));
    four_bit(rows, out, 2);
  }
};

struct FormatQ4_1 {
  static constexpr ElementType type = ElementType::kQ4_1;
  static constexpr int length = 32, bytes = 20, sub = 1, offset = 0, half_at = -1;
  static constexpr bool minima = true;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    W16 both = rows.one(0);
    out.scale(0, low_halves(both & 0xffffu));
    out.min(0, high_halves(both));
    four_bit(rows, out, 4);
  }
};

struct FormatQ5_0 {
  static constexpr ElementType type = ElementType::kQ5_0;
  static constexpr int length = 32, bytes = 22, sub = 1, offset = 16, half_at = 0;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    out.scale(0, rows.half(0));
    five_bit(rows, out, 2, 6);
  }
};

struct FormatQ5_1 {
  static constexpr ElementType type = ElementType::kQ5_1;
  static constexpr int length = 32, bytes = 24, sub = 1, offset = 0, half_at = -1;
  static constexpr bool minima = true;
  static constexpr Width width = Width::kLifted;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    W16 both = rows.one(0);
    out.scale(0, low_halves(both & 0xffffu));
    out.min(0, high_halves(both));
    five_bit(rows, out, 4, 8);
  }
};

struct FormatQ8_0 {
  static constexpr ElementType type = ElementType::kQ8_0;
  static constexpr int length = 32, bytes = 34, sub = 1, offset = 128, half_at = 0;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kSigned;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    out.scale(0, rows.half(0));
    auto dot = out.open(0, 0);
    unrolled<2>([&](auto part) {
      auto c = rows.quad(2 + 16 * part);
      unrolled<4>([&](auto j) { dot.step(4 * part + j, c[j]); });
    });
    dot.close();
  }
};

struct FormatIQ4_NL {
  static constexpr ElementType type = ElementType::kIQ4_NL;
  static constexpr int length = 32, bytes = 18, sub = 1, offset = 128, half_at = 0;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kSigned;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    out.scale(0, rows.half(0));
    non_linear(rows, out, 2, 0);
  }
};

// Below: super-blocks of 256, that is 8 panel blocks.
struct FormatIQ4_XS {
  static constexpr ElementType type = ElementType::kIQ4_XS;
  static constexpr int length = 256, bytes = 136, sub = 1, offset = 128, half_at = -1;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kSigned;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    W16 head = rows.one(0), low = rows.one(4);
    F16x d = low_halves(head & 0xffffu);
    for (int j = 0; j < 8; ++j) {
      W16 scale = ((low >> (4 * j)) & 15u) | (((head >> (16 + 2 * j)) & 3u) << 4);
      out.scale(j, mul(d, floats(scale + word(static_cast<uint32_t>(-32)))));
    }
    for (int j = 0; j < 8; ++j) non_linear(rows, out, 8 + 16 * j, j);
  }
};

// d, dmin and the twelve bytes of six-bit scales and minima are the block's first 16 bytes.
template <class S, class K>
INGOT_INLINE void six_bit_scales(const S& rows, K& out) {
  auto c = rows.quad(0);
  W16 head = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
  F16x d = low_halves(head & 0xffffu), dmin = high_halves(head);
  for (int j = 0; j < 4; ++j) {
    int s = 8 * j;
    out.scale(j, mul(d, floats((c1 >> s) & 63u)));
    out.min(j, sub(zero(), mul(dmin, floats((c2 >> s) & 63u))));
    out.scale(j + 4, mul(d, floats(((c3 >> s) & 15u) | (((c1 >> (s + 6)) & 3u) << 4))));
    out.min(j + 4, sub(zero(), mul(dmin, floats(((c3 >> (s + 4)) & 15u) | (((c2 >> (s + 6)) & 3u) << 4)))));
  }
}

struct FormatQ4_K {
  static constexpr ElementType type = ElementType::kQ4_K;
  static constexpr int length = 256, bytes = 144, sub = 1, offset = 0, half_at = -1;
  static constexpr bool minima = true;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    six_bit_scales(rows, out);
    for (int pair = 0; pair < 4; ++pair) {
      auto low = out.open(2 * pair, 0), high = out.open(2 * pair + 1, 0);
      unrolled<2>([&](auto part) {
        auto c = rows.quad(16 + 32 * pair + 16 * part);
        unrolled<4>([&](auto j) {
          W16 both = c[j];
          low.step(4 * part + j, both & kLow4);
          high.step(4 * part + j, nibble(both, 1));
        });
      });
      low.close();
      high.close();
    }
  }
};

struct FormatQ5_K {
  static constexpr ElementType type = ElementType::kQ5_K;
  static constexpr int length = 256, bytes = 176, sub = 1, offset = 0, half_at = -1;
  static constexpr bool minima = true;
  static constexpr Width width = Width::kLifted;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    six_bit_scales(rows, out);
    for (int pair = 0; pair < 4; ++pair) {  // all four unrolled are a quarter slower from memory
      auto low = out.open(2 * pair, 0), high = out.open(2 * pair + 1, 0);
      unrolled<2>([&](auto part) {
        auto c = rows.quad(48 + 32 * pair + 16 * part), fifth = rows.quad(16 + 16 * part);
        unrolled<4>([&](auto j) {
          W16 both = c[j], bits = fifth[j] >> (2 * pair);
          low.step(4 * part + j, (both & kLow4) | ((bits & kLow1) << 4));
          high.step(4 * part + j, nibble(both, 1) | (((bits >> 1) & kLow1) << 4));
        });
      });
      low.close();
      high.close();
    }
  }
};

struct FormatQ6_K {
  static constexpr ElementType type = ElementType::kQ6_K;
  static constexpr int length = 256, bytes = 210, sub = 2, offset = 32, half_at = 208;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    auto s = rows.quad(192);
    F16x d = rows.half(208);
    unrolled<4>([&](auto word) {
      W16 four = s[word];
      for (int i = 0; i < 4; ++i) out.scale(4 * word + i, mul(d, floats(signed_shift(four << (24 - 8 * i), 24))));
    });
    for (int half = 0; half < 2; ++half)
      unrolled<2>([&](auto part) {
        auto a = out.open(4 * half, part), b = out.open(4 * half + 1, part), c = out.open(4 * half + 2, part), d = out.open(4 * half + 3, part);
        auto high = rows.quad(128 + 32 * half + 16 * part), low = rows.quad(64 * half + 16 * part), next = rows.quad(64 * half + 32 + 16 * part);
        unrolled<4>([&](auto j) {
          W16 bits = high[j], both = low[j];
          a.step(4 * part + j, (both & kLow4) | ((bits << 4) & kHigh2));
          c.step(4 * part + j, nibble(both, 1) | (bits & kHigh2));
          both = next[j];
          b.step(4 * part + j, (both & kLow4) | ((bits << 2) & kHigh2));
          d.step(4 * part + j, nibble(both, 1) | ((bits >> 2) & kHigh2));
        });
        a.close(), b.close(), c.close(), d.close();
      });
  }
};

struct FormatQ2_K {
  static constexpr ElementType type = ElementType::kQ2_K;
  static constexpr int length = 256, bytes = 84, sub = 2, offset = 0, half_at = -1;
  static constexpr bool minima = true;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    W16 both = rows.one(80);
    auto s = rows.quad(0);
    F16x d = low_halves(both & 0xffffu), dmin = high_halves(both);
    unrolled<4>([&](auto word) {
      W16 four = s[word];
      for (int i = 0; i < 4; ++i) {
        W16 byte = four >> (8 * i);
        out.scale(4 * word + i, mul(d, floats(byte & 15u)));
        out.min(4 * word + i, sub_from_zero(mul(dmin, floats((byte >> 4) & 15u))));
      }
    });
    for (int half = 0; half < 2; ++half)
      unrolled<2>([&](auto part) {
        auto a = out.open(4 * half, part), b = out.open(4 * half + 1, part), c = out.open(4 * half + 2, part), d = out.open(4 * half + 3, part);
        auto quants = rows.quad(16 + 32 * half + 16 * part);
        unrolled<4>([&](auto j) {
          W16 q = quants[j];
          a.step(4 * part + j, q & kLow2);
          b.step(4 * part + j, (q >> 2) & kLow2);
          c.step(4 * part + j, (q >> 4) & kLow2);
          d.step(4 * part + j, (q >> 6) & kLow2);
        });
        a.close(), b.close(), c.close(), d.close();
      });
  }
  static INGOT_INLINE F16x sub_from_zero(F16x a) { return cpu::sub(zero(), a); }  // `sub` is a number here
};

struct FormatQ3_K {
  static constexpr ElementType type = ElementType::kQ3_K;
  static constexpr int length = 256, bytes = 110, sub = 2, offset = 4, half_at = 108;
  static constexpr bool minima = false;
  static constexpr Width width = Width::kNarrow;
  template <class S, class K>
  static INGOT_INLINE void visit(const S& rows, K& out) {
    W16 s[3] = {rows.one(96), rows.one(100), rows.one(104)};
    F16x d = rows.half(108);
    unrolled<16>([&](auto i) {
      constexpr int at = 8 * (i % 4);
      W16 low = (s[(i / 4) % 2] >> (at + (i < 8 ? 0 : 4))) & 15u, high = (s[2] >> (at + i / 4 * 2)) & 3u;
      out.scale(i, mul(d, floats((low | (high << 4)) + word(static_cast<uint32_t>(-32)))));
    });
    for (int half = 0; half < 2; ++half)
      unrolled<2>([&](auto part) {
        auto a = out.open(4 * half, part), b = out.open(4 * half + 1, part), c = out.open(4 * half + 2, part), d = out.open(4 * half + 3, part);
        auto mask = rows.quad(16 * part), quants = rows.quad(32 + 32 * half + 16 * part);
        unrolled<4>([&](auto j) {
          W16 q = quants[j], third = mask[j] >> (4 * half);
          a.step(4 * part + j, (q & kLow2) | ((third << 2) & kThird));
          b.step(4 * part + j, ((q >> 2) & kLow2) | ((third << 1) & kThird));
          c.step(4 * part + j, ((q >> 4) & kLow2) | (third & kThird));
          d.step(4 * part + j, ((q >> 6) & kLow2) | ((third >> 1) & kThird));
        });
        a.close(), b.close(), c.close(), d.close();
      });
  }
};

// Calls f with the format of a block type as an empty value.
template <class F>
INGOT_INLINE void with_format(ElementType type, F&& f) {
  switch (type) {
    case ElementType::kQ8_0: return f(FormatQ8_0{});
    case ElementType::kQ4_0: return f(FormatQ4_0{});
    case ElementType::kQ4_1: return f(FormatQ4_1{});
    case ElementType::kQ5_0: return f(FormatQ5_0{});
    case ElementType::kQ5_1: return f(FormatQ5_1{});
    case ElementType::kQ2_K: return f(FormatQ2_K{});
    case ElementType::kQ3_K: return f(FormatQ3_K{});
    case ElementType::kQ4_K: return f(FormatQ4_K{});
    case ElementType::kQ5_K: return f(FormatQ5_K{});
    case ElementType::kQ6_K: return f(FormatQ6_K{});
    case ElementType::kIQ4_NL: return f(FormatIQ4_NL{});
    case ElementType::kIQ4_XS: return f(FormatIQ4_XS{});
    default: return;
  }
}

}  // namespace
}  // namespace ingot::cpu
