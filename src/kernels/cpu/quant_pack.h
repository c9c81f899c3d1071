// Turns GGUF blocks into panels (quant_kernels.h), 16 rows at a time, for any target.
// The including file first defines, in namespace ingot::cpu's anonymous namespace, what differs between instruction sets:
//   void load16(const uint8_t* base, const int64_t* offsets, V (&out)[4]);  out[j] lane r = bytes 4j..4j+3 of row r's 16 bytes
//   VF halves(const V& bits);                                               f16 in the low half of each lane
//   V look_up(const V& nibbles);                                            kNonLinear4[byte] + 128, byte by byte
// and V, VF as 16-lane vectors of uint32_t and float (quant_lanes.h).
#pragma once

#include "kernels/block_formats.h"
#include "kernels/cpu/quant_kernels.h"
#include "kernels/cpu/quant_lanes.h"

namespace ingot::cpu {
namespace {

struct Rows {
  const uint8_t* base;      // of row 0's current block
  const int64_t* offsets;   // of each row, 16 of them
};

inline V word_of_rows(const Rows& rows, int64_t at) {
  V v;
  for (int r = 0; r < 16; ++r) {
    uint32_t bits;
    __builtin_memcpy(&bits, rows.base + rows.offsets[r] + at, 4);
    v[r] = bits;
  }
  return v;
}

inline VF half_of_rows(const Rows& rows, int64_t at) {
  V v;
  for (int r = 0; r < 16; ++r) {
    uint16_t bits;
    __builtin_memcpy(&bits, rows.base + rows.offsets[r] + at, 2);
    v[r] = bits;
  }
  return halves(v);
}

inline void put(uint8_t* out, int step, const V& v) { *reinterpret_cast<V*>(out + step * 64) = v; }
inline void put(float* out, const VF& v) { *reinterpret_cast<VF*>(out) = v; }
inline VF as_float(const V& v) { return __builtin_convertvector((VI)v, VF); }

constexpr uint32_t kLow4 = 0x0f0f0f0f, kLow2 = 0x03030303, kLow1 = 0x01010101;

// Four bits (lowest first) to bit 4 of four bytes.
inline V spread_bit(const V& x) { return ((x & 1) << 4) | ((x & 2) << 11) | ((x & 4) << 18) | ((x & 8) << 25); }

struct Out {
  uint8_t* quants;
  float* scales;
  float* mins;
};

inline void four_bit(const Rows& rows, int64_t at, uint8_t* q) {
  V c[4];
  load16(rows.base + at, rows.offsets, c);
  for (int j = 0; j < 4; ++j) {
    put(q, j, c[j] & kLow4);
    put(q, 4 + j, (c[j] >> 4) & kLow4);
  }
}

inline void pack_q4_0(const Rows& rows, const Out& out) {
  put(out.scales, half_of_rows(rows, 0));
  four_bit(rows, 2, out.quants);
}

inline void pack_q4_1(const Rows& rows, const Out& out) {
  V both = word_of_rows(rows, 0);
  put(out.scales, halves(both & 0xffff));
  put(out.mins, halves(both >> 16));
  four_bit(rows, 4, out.quants);
}

inline void five_bit(const Rows& rows, int64_t high_at, int64_t at, uint8_t* q) {
  V c[4], high = word_of_rows(rows, high_at);
  load16(rows.base + at, rows.offsets, c);
  for (int j = 0; j < 4; ++j) {
    put(q, j, (c[j] & kLow4) | spread_bit(high >> (4 * j)));
    put(q, 4 + j, ((c[j] >> 4) & kLow4) | spread_bit(high >> (16 + 4 * j)));
  }
}

inline void pack_q5_0(const Rows& rows, const Out& out) {
  put(out.scales, half_of_rows(rows, 0));
  five_bit(rows, 2, 6, out.quants);
}

inline void pack_q5_1(const Rows& rows, const Out& out) {
  V both = word_of_rows(rows, 0);
  put(out.scales, halves(both & 0xffff));
  put(out.mins, halves(both >> 16));
  five_bit(rows, 4, 8, out.quants);
}

inline void pack_q8_0(const Rows& rows, const Out& out) {
  put(out.scales, half_of_rows(rows, 0));
  for (int part = 0; part < 2; ++part) {
    V c[4];
    load16(rows.base + 2 + 16 * part, rows.offsets, c);
    for (int j = 0; j < 4; ++j) put(out.quants, 4 * part + j, c[j] ^ 0x80808080u);
  }
}

inline void non_linear(const Rows& rows, int64_t at, uint8_t* q) {
  V c[4];
  load16(rows.base + at, rows.offsets, c);
  for (int j = 0; j < 4; ++j) {
    put(q, j, look_up(c[j] & kLow4));
    put(q, 4 + j, look_up((c[j] >> 4) & kLow4));
  }
}

inline void pack_iq4_nl(const Rows& rows, const Out& out) {
  put(out.scales, half_of_rows(rows, 0));
  non_linear(rows, 2, out.quants);
}

// Below: super-blocks of 256, that is 8 panel blocks; quants advance 512 bytes a block and scales 16 * sub floats.
inline void pack_iq4_xs(const Rows& rows, const Out& out) {
  V head = word_of_rows(rows, 0), low = word_of_rows(rows, 4);
  VF d = halves(head & 0xffff);
  for (int j = 0; j < 8; ++j) {
    V scale = ((low >> (4 * j)) & 15) | (((head >> (16 + 2 * j)) & 3) << 4);
    put(out.scales + 16 * j, d * as_float(scale - 32));
    non_linear(rows, 8 + 16 * j, out.quants + 512 * j);
  }
}

// d, dmin and the twelve bytes of six-bit scales and minima are the block's first 16 bytes.
inline void six_bit_scales(const Rows& rows, const Out& out) {
  V c[4];
  load16(rows.base, rows.offsets, c);
  VF d = halves(c[0] & 0xffff), dmin = halves(c[0] >> 16);
  for (int j = 0; j < 8; ++j) {
    int s = 8 * (j % 4);
    V scale = j < 4 ? (c[1] >> s) & 63 : ((c[3] >> s) & 15) | (((c[1] >> (s + 6)) & 3) << 4);
    V min = j < 4 ? (c[2] >> s) & 63 : ((c[3] >> (s + 4)) & 15) | (((c[2] >> (s + 6)) & 3) << 4);
    put(out.scales + 16 * j, d * as_float(scale));
    put(out.mins + 16 * j, -(dmin * as_float(min)));
  }
}

inline void pack_q4_k(const Rows& rows, const Out& out) {
  six_bit_scales(rows, out);
  for (int pair = 0; pair < 4; ++pair)
    for (int part = 0; part < 2; ++part) {
      V c[4];
      load16(rows.base + 16 + 32 * pair + 16 * part, rows.offsets, c);
      uint8_t* q = out.quants + 1024 * pair;
      for (int j = 0; j < 4; ++j) {
        put(q, 4 * part + j, c[j] & kLow4);
        put(q + 512, 4 * part + j, (c[j] >> 4) & kLow4);
      }
    }
}

inline void pack_q5_k(const Rows& rows, const Out& out) {
  six_bit_scales(rows, out);
  for (int part = 0; part < 2; ++part) {
    V high[4];
    load16(rows.base + 16 + 16 * part, rows.offsets, high);
    for (int pair = 0; pair < 4; ++pair) {
      V c[4];
      load16(rows.base + 48 + 32 * pair + 16 * part, rows.offsets, c);
      uint8_t* q = out.quants + 1024 * pair;
      for (int j = 0; j < 4; ++j) {
        put(q, 4 * part + j, (c[j] & kLow4) | (((high[j] >> (2 * pair)) & kLow1) << 4));
        put(q + 512, 4 * part + j, ((c[j] >> 4) & kLow4) | (((high[j] >> (2 * pair + 1)) & kLow1) << 4));
      }
    }
  }
}

inline void pack_q6_k(const Rows& rows, const Out& out) {
  V s[4];
  load16(rows.base + 192, rows.offsets, s);
  VF d = half_of_rows(rows, 208);
  for (int i = 0; i < 16; ++i) put(out.scales + 16 * i, d * __builtin_convertvector((VI)(s[i / 4] << (24 - 8 * (i % 4))) >> 24, VF));
  for (int half = 0; half < 2; ++half)
    for (int part = 0; part < 2; ++part) {
      V high[4];
      load16(rows.base + 128 + 32 * half + 16 * part, rows.offsets, high);
      for (int side = 0; side < 2; ++side) {
        V low[4];
        load16(rows.base + 64 * half + 32 * side + 16 * part, rows.offsets, low);
        uint8_t *q = out.quants + 512 * (4 * half + side), *q2 = q + 1024;
        for (int j = 0; j < 4; ++j) {
          put(q, 4 * part + j, (low[j] & kLow4) | (((high[j] >> (2 * side)) & kLow2) << 4));
          put(q2, 4 * part + j, ((low[j] >> 4) & kLow4) | (((high[j] >> (2 * side + 4)) & kLow2) << 4));
        }
      }
    }
}

inline void pack_q2_k(const Rows& rows, const Out& out) {
  V s[4], both = word_of_rows(rows, 80);
  load16(rows.base, rows.offsets, s);
  VF d = halves(both & 0xffff), dmin = halves(both >> 16);
  for (int i = 0; i < 16; ++i) {
    V byte = s[i / 4] >> (8 * (i % 4));
    put(out.scales + 16 * i, d * as_float(byte & 15));
    put(out.mins + 16 * i, -(dmin * as_float((byte >> 4) & 15)));
  }
  for (int half = 0; half < 2; ++half)
    for (int part = 0; part < 2; ++part) {
      V c[4];
      load16(rows.base + 16 + 32 * half + 16 * part, rows.offsets, c);
      for (int shift = 0; shift < 4; ++shift)
        for (int j = 0; j < 4; ++j) put(out.quants + 512 * (4 * half + shift), 4 * part + j, (c[j] >> (2 * shift)) & kLow2);
    }
}

inline void pack_q3_k(const Rows& rows, const Out& out) {
  V s[3] = {word_of_rows(rows, 96), word_of_rows(rows, 100), word_of_rows(rows, 104)};
  VF d = half_of_rows(rows, 108);
  for (int i = 0; i < 16; ++i) {
    int at = 8 * (i % 4);
    V low = (s[(i / 4) % 2] >> (at + (i < 8 ? 0 : 4))) & 15, high = (s[2] >> (at + i / 4 * 2)) & 3;
    put(out.scales + 16 * i, d * as_float((low | (high << 4)) - 32));
  }
  for (int part = 0; part < 2; ++part) {
    V mask[4];
    load16(rows.base + 16 * part, rows.offsets, mask);
    for (int half = 0; half < 2; ++half) {
      V c[4];
      load16(rows.base + 32 + 32 * half + 16 * part, rows.offsets, c);
      for (int shift = 0; shift < 4; ++shift)
        for (int j = 0; j < 4; ++j)
          put(out.quants + 512 * (4 * half + shift), 4 * part + j,
              ((c[j] >> (2 * shift)) & kLow2) | (((mask[j] >> (4 * half + shift)) & kLow1) << 2));
    }
  }
}

template <void (*Block)(const Rows&, const Out&), int Length, int Bytes, int Sub, bool Minima>
void pack_blocks(const uint8_t* w, int64_t stride, int rows, int64_t k0, int64_t depth, int64_t ahead, uint8_t* quants, float* scales,
                 float* mins) {
  const int64_t blocks = depth / 32;
  for (int g = 0; g < 2; ++g) {
    int64_t offsets[16];
    for (int r = 0; r < 16; ++r) offsets[r] = (g * 16 + r < rows ? g * 16 + r : rows - 1) * stride;
    const uint8_t* p = w + k0 / Length * Bytes;
    uint8_t* q = quants + g * blocks * 512;
    float *s = scales + g * blocks * 16 * Sub, *m = Minima ? mins + g * blocks * 16 * Sub : nullptr;
    for (int64_t b = 0; b < depth / Length; ++b, p += Bytes) {
      for (int r = 0; r < 16; ++r)
        for (int line = 0; line < Bytes; line += 64) __builtin_prefetch(p + offsets[r] + ahead + line);
      Block({p, offsets}, {q, s, m});
      q += Length * 16;
      s += Length / 2 * Sub;
      if (Minima) m += Length / 2 * Sub;
    }
  }
}

inline void pack_panel(ElementType type, const uint8_t* w, int64_t stride, int rows, int64_t k0, int64_t depth, int64_t ahead,
                       uint8_t* q, float* s, float* m) {
  switch (type) {
    case ElementType::kQ8_0: return pack_blocks<pack_q8_0, 32, 34, 1, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ4_0: return pack_blocks<pack_q4_0, 32, 18, 1, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ4_1: return pack_blocks<pack_q4_1, 32, 20, 1, true>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ5_0: return pack_blocks<pack_q5_0, 32, 22, 1, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ5_1: return pack_blocks<pack_q5_1, 32, 24, 1, true>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ2_K: return pack_blocks<pack_q2_k, 256, 84, 2, true>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ3_K: return pack_blocks<pack_q3_k, 256, 110, 2, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ4_K: return pack_blocks<pack_q4_k, 256, 144, 1, true>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ5_K: return pack_blocks<pack_q5_k, 256, 176, 1, true>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kQ6_K: return pack_blocks<pack_q6_k, 256, 210, 2, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kIQ4_NL: return pack_blocks<pack_iq4_nl, 32, 18, 1, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    case ElementType::kIQ4_XS: return pack_blocks<pack_iq4_xs, 256, 136, 1, false>(w, stride, rows, k0, depth, ahead, q, s, m);
    default: return;
  }
}

}  // namespace
}  // namespace ingot::cpu
