// The simple block types, and the dispatch; super-blocks are in quantize_super.cc.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/dequantize.h"
#include "kernels/quantize_blocks.h"
#include "kernels/quantize_fit.h"

namespace ingot {
namespace {

void q8_0(const float* x, const float*, uint8_t* b) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  float d = largest / 127.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  put_half(b, d);
  for (int i = 0; i < 32; ++i) b[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(x[i] * inverse)));
}

// Levels 0 to 2^bits - 1 of 32 elements: four bits of i and i + 16 in a byte, a fifth in a word of its own before them.
void put_levels(const uint8_t* level, bool fifth, uint8_t* to) {
  if (fifth) {
    uint32_t high = 0;
    for (int i = 0; i < 32; ++i) high |= static_cast<uint32_t>(level[i] >> 4) << i;
    std::memcpy(to, &high, 4);
    to += 4;
  }
  for (int i = 0; i < 16; ++i) to[i] = static_cast<uint8_t>((level[i] & 15) | ((level[i + 16] & 15) << 4));
}

// Q4_0 and Q5_0: a scale alone, the lowest level without a positive twin.
template <int kBits>
void symmetric(const float* x, const float* weights, uint8_t* b) {
  constexpr int kLow = -(1 << (kBits - 1));
  uint8_t levels[32];
  if (weights) {
    int8_t found[32];
    put_half(b, fit_scale(x, weights, 32, kLow, -kLow - 1, found));
    for (int i = 0; i < 32; ++i) levels[i] = static_cast<uint8_t>(found[i] - kLow);
  } else {
    float extreme = 0;  // the value of largest magnitude, with its sign, becomes the lowest level
    for (int i = 0; i < 32; ++i)
      if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    const float d = extreme / static_cast<float>(kLow), inverse = d != 0 ? 1.0f / d : 0.0f;
    put_half(b, d);
    for (int i = 0; i < 32; ++i)
      levels[i] = static_cast<uint8_t>(std::clamp(static_cast<int>(x[i] * inverse + (0.5f - static_cast<float>(kLow))), 0, -2 * kLow - 1));
  }
  put_levels(levels, kBits == 5, b + 2);
}

// Q4_1 and Q5_1: a scale and a minimum.
template <int kBits>
void affine(const float* x, const float* weights, uint8_t* b) {
  constexpr int kHigh = (1 << kBits) - 1;
  uint8_t levels[32];
  if (weights) {
    const AffineFit fit = fit_affine(x, weights, 32, kHigh, false, levels);
    put_half(b, fit.scale);
    put_half(b + 2, fit.minimum);
  } else {
    auto [low, high] = std::minmax_element(x, x + 32);
    float min = *low, d = (*high - min) / static_cast<float>(kHigh), inverse = d != 0 ? 1.0f / d : 0.0f;
    put_half(b, d);
    put_half(b + 2, min);
    for (int i = 0; i < 32; ++i) levels[i] = static_cast<uint8_t>(std::clamp(static_cast<int>((x[i] - min) * inverse + 0.5f), 0, kHigh));
  }
  put_levels(levels, kBits == 5, b + 4);
}

template <void (*Block)(const float*, const float*, uint8_t*)>
void blocks(ElementType type, const float* src, const float* importance, uint8_t* dst, int64_t n) {
  const int64_t step = block_length(type);
  for (int64_t i = 0; i < n; i += step, dst += block_bytes(type)) Block(src + i, importance ? importance + i : nullptr, dst);
}

}  // namespace

bool can_quantize(ElementType) { return true; }

void quantize_row(ElementType type, const float* src, void* dst, int64_t n, const float* importance) {
  row_bytes(type, n);  // refuses a broken block
  auto* d = static_cast<uint8_t*>(dst);
  switch (type) {
    case ElementType::kF32: std::memcpy(dst, src, static_cast<size_t>(n) * 4); return;
    case ElementType::kF16:
      for (int64_t i = 0; i < n; ++i) put_half(d + 2 * i, src[i]);
      return;
    case ElementType::kBF16:
      for (int64_t i = 0; i < n; ++i) {
        uint16_t bits = bf16_of_f32(src[i]);
        std::memcpy(d + 2 * i, &bits, 2);
      }
      return;
    case ElementType::kQ8_0: return blocks<q8_0>(type, src, importance, d, n);
    case ElementType::kQ4_0: return blocks<symmetric<4>>(type, src, importance, d, n);
    case ElementType::kQ5_0: return blocks<symmetric<5>>(type, src, importance, d, n);
    case ElementType::kQ4_1: return blocks<affine<4>>(type, src, importance, d, n);
    case ElementType::kQ5_1: return blocks<affine<5>>(type, src, importance, d, n);
    case ElementType::kIQ4_NL: return blocks<quantize_iq4_nl>(type, src, importance, d, n);
    case ElementType::kQ2_K: return blocks<quantize_q2_k>(type, src, importance, d, n);
    case ElementType::kQ3_K: return blocks<quantize_q3_k>(type, src, importance, d, n);
    case ElementType::kQ4_K: return blocks<quantize_q4_k>(type, src, importance, d, n);
    case ElementType::kQ5_K: return blocks<quantize_q5_k>(type, src, importance, d, n);
    case ElementType::kQ6_K: return blocks<quantize_q6_k>(type, src, importance, d, n);
    case ElementType::kIQ4_XS: return blocks<quantize_iq4_xs>(type, src, importance, d, n);
  }
}

}  // namespace ingot
