// Keys and values of a block of 64 positions as small integers, compiled once per target. A position's elements in parts of 32 (16 where
// 32 do not divide the head) share an f16 scale; 4 bits have a least value too. Keys lie turned, so that one load takes 16 positions:
// keys codes [d][64] (4 bits: [d/2][64]), scales [parts][64], least [parts][64]; values the same with a position's elements side by side.
#pragma once

#include <cmath>

#include "kernels/cpu/row_kernels.h"
#include "kernels/cpu/vector16.h"

namespace ingot::cpu {
namespace {

// Where the numbers of one group's block lie. Steps are in codes or halves.
struct CodeBlock {
  uint8_t* codes;
  uint16_t *scales, *least;
  int64_t code_step, code_row, part_step, part_row;  // from one code (part) of a position to the next, from a position to the next
};

CodeBlock code_block(int bits, bool keys, std::byte* at, int64_t d) {
  const int64_t codes = d * bits / 8, parts = d / cache_part(d);
  auto* bytes = reinterpret_cast<uint8_t*>(at);
  auto* scales = reinterpret_cast<uint16_t*>(bytes + codes * kCacheBlock);
  if (keys) return {bytes, scales, scales + parts * kCacheBlock, kCacheBlock, 1, kCacheBlock, 1};
  return {bytes, scales, scales + parts * kCacheBlock, 1, codes, 1, parts};
}

// Nearest codes; 8 bits: [-127, 127] around zero, 4 bits: [0, 15] from the least value, two elements half a part apart in a byte.
void store_codes(int bits, bool keys, const float* x, int64_t d, int position, std::byte* at) {
  const CodeBlock b = code_block(bits, keys, at, d);
  const int64_t n = cache_part(d);
  for (int64_t part = 0; part < d / n; ++part, x += n) {
    F16x top = load(x), low = top;
    for (int64_t i = 16; i < n; i += 16) top = largest(top, load(x + i)), low = smallest(low, load(x + i));
    const float high = largest_lane(top), lowest = -largest_lane(sub(zero(), low));
    const int64_t where = part * b.part_step + position * b.part_row;
    const float base = bits == 8 ? 0.0f : f32_of_f16(b.least[where] = f16_of_f32(lowest));
    const float range = bits == 8 ? std::fmax(high, -lowest) / 127.0f : (high - base) / 15.0f;
    const float scale = f32_of_f16(b.scales[where] = f16_of_f32(range)), inverse = scale > 0 ? 1.0f / scale : 0.0f;
    const float from = bits == 8 ? -127.0f : 0.0f, to = bits == 8 ? 127.0f : 15.0f;
    float code[32];
    for (int64_t i = 0; i < n; i += 16)
      store(code + i, smallest(largest(nearest(mul(sub(load(x + i), splat(base)), splat(inverse))), splat(from)), splat(to)));
    uint8_t* out = b.codes + part * (n * bits / 8) * b.code_step + position * b.code_row;
    if (bits == 8)
      for (int64_t i = 0; i < n; ++i) out[i * b.code_step] = static_cast<uint8_t>(static_cast<int8_t>(code[i]));
    else
      for (int64_t i = 0; i < n / 2; ++i)
        out[i * b.code_step] = static_cast<uint8_t>(static_cast<int>(code[i]) | static_cast<int>(code[i + n / 2]) << 4);
  }
}

// k [d][64] of positions [0, count) rounded up to 16.
void load_keys(int bits, const std::byte* at, int64_t d, int count, float* k) {
  const CodeBlock b = code_block(bits, true, const_cast<std::byte*>(at), d);
  const int64_t n = cache_part(d);
  for (int64_t part = 0; part < d / n; ++part)
    for (int p = 0; p < count; p += 16) {
      const F16x scale = load(b.scales + part * kCacheBlock + p);
      const uint8_t* codes = b.codes + part * (n * bits / 8) * kCacheBlock + p;
      float* out = k + part * n * kCacheBlock + p;
      if (bits == 8) {
        for (int64_t i = 0; i < n; ++i) store(out + i * kCacheBlock, mul(scale, load_signed(codes + i * kCacheBlock)));
        continue;
      }
      const F16x least = load(b.least + part * kCacheBlock + p);
      for (int64_t i = 0; i < n / 2; ++i) {
        F16x lower, upper;
        load_nibbles(codes + i * kCacheBlock, lower, upper);
        store(out + i * kCacheBlock, fma(scale, lower, least));
        store(out + (i + n / 2) * kCacheBlock, fma(scale, upper, least));
      }
    }
}

// v [64][d] of positions [from, to).
void load_values(int bits, const std::byte* at, int64_t d, int from, int to, float* v) {
  const CodeBlock b = code_block(bits, false, const_cast<std::byte*>(at), d);
  const int64_t n = cache_part(d), parts = d / n;
  for (int p = from; p < to; ++p)
    for (int64_t part = 0; part < parts; ++part) {
      const F16x scale = splat(f32_of_f16(b.scales[p * parts + part]));
      const uint8_t* codes = b.codes + p * (d * bits / 8) + part * (n * bits / 8);
      float* out = v + p * d + part * n;
      if (bits == 8) {
        for (int64_t i = 0; i < n; i += 16) store(out + i, mul(scale, load_signed(codes + i)));
        continue;
      }
      const F16x least = splat(f32_of_f16(b.least[p * parts + part]));
      F16x lower, upper;
      if (n == 32) {
        load_nibbles(codes, lower, upper);
        store(out, fma(scale, lower, least));
        store(out + 16, fma(scale, upper, least));
      } else {  // 8 bytes are one vector: its halves come one after the other
        float both[16];
        for (int i = 0; i < 8; ++i) both[i] = static_cast<float>(codes[i] & 15), both[i + 8] = static_cast<float>(codes[i] >> 4);
        store(out, fma(scale, load(both), least));
      }
    }
}

}  // namespace
}  // namespace ingot::cpu
