#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "kernels/dequantize.h"

namespace ingot {
namespace {

void put_half(uint8_t* p, float value) {
  uint16_t bits = f16_of_f32(value);
  std::memcpy(p, &bits, 2);
}

void q8_0(const float* x, uint8_t* b) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  float d = largest / 127.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  put_half(b, d);
  for (int i = 0; i < 32; ++i) b[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(x[i] * inverse)));
}

void q4_0(const float* x, uint8_t* b) {
  float extreme = 0;  // the value of largest magnitude, with its sign, becomes -8
  for (int i = 0; i < 32; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  float d = extreme / -8.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  put_half(b, d);
  auto level = [&](float v) { return static_cast<uint8_t>(std::clamp(static_cast<int>(v * inverse + 8.5f), 0, 15)); };
  for (int i = 0; i < 16; ++i) b[2 + i] = static_cast<uint8_t>(level(x[i]) | (level(x[i + 16]) << 4));
}

void q4_1(const float* x, uint8_t* b) {
  auto [low, high] = std::minmax_element(x, x + 32);
  float min = *low, d = (*high - min) / 15.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  put_half(b, d);
  put_half(b + 2, min);
  auto level = [&](float v) { return static_cast<uint8_t>(std::clamp(static_cast<int>((v - min) * inverse + 0.5f), 0, 15)); };
  for (int i = 0; i < 16; ++i) b[4 + i] = static_cast<uint8_t>(level(x[i]) | (level(x[i + 16]) << 4));
}

// The nearest level, 0 when the step is 0.
int level(float x, float step, int low, int high) {
  return step == 0 ? 0 : static_cast<int>(std::clamp(std::nearbyint(x / step), static_cast<float>(low), static_cast<float>(high)));
}

// Scales and minima of the 8 parts straight from their extremes, then 6 bits each; no search as in llama.cpp's writer.
void q4_k(const float* x, uint8_t* b) {
  float scale[8], depth[8];
  for (int j = 0; j < 8; ++j) {
    auto [low, high] = std::minmax_element(x + 32 * j, x + 32 * j + 32);
    depth[j] = std::max(0.0f, -*low);  // a minimum can only be subtracted
    scale[j] = std::max(0.0f, *high + depth[j]) / 15.0f;
  }
  put_half(b, *std::max_element(scale, scale + 8) / 63.0f);
  put_half(b + 2, *std::max_element(depth, depth + 8) / 63.0f);
  const float d = f32_of_f16(static_cast<uint16_t>(b[0] | (b[1] << 8))), dmin = f32_of_f16(static_cast<uint16_t>(b[2] | (b[3] << 8)));
  std::memset(b + 4, 0, 140);
  for (int j = 0; j < 8; ++j) {
    int sc = level(scale[j], d, 0, 63), mn = level(depth[j], dmin, 0, 63);
    uint8_t* s = b + 4;
    if (j < 4) {
      s[j] = static_cast<uint8_t>(s[j] | sc);
      s[j + 4] = static_cast<uint8_t>(s[j + 4] | mn);
    } else {
      s[j + 4] = static_cast<uint8_t>((sc & 15) | ((mn & 15) << 4));
      s[j - 4] = static_cast<uint8_t>(s[j - 4] | ((sc >> 4) << 6));
      s[j] = static_cast<uint8_t>(s[j] | ((mn >> 4) << 6));
    }
    const float step = d * static_cast<float>(sc), offset = dmin * static_cast<float>(mn);
    for (int i = 0; i < 32; ++i) {
      uint8_t& q = b[16 + j / 2 * 32 + i];
      q = static_cast<uint8_t>(q | (level(x[32 * j + i] + offset, step, 0, 15) << (j % 2 * 4)));
    }
  }
}

void q6_k(const float* x, uint8_t* b) {
  float scale[16], largest = 0;
  for (int j = 0; j < 16; ++j) {
    float extreme = 0;  // becomes -32, the level that has no positive twin
    for (int i = 0; i < 16; ++i)
      if (std::fabs(x[16 * j + i]) > std::fabs(extreme)) extreme = x[16 * j + i];
    scale[j] = extreme / -32.0f;
    largest = std::max(largest, std::fabs(scale[j]));
  }
  std::memset(b, 0, 208);
  put_half(b + 208, largest / 127.0f);
  const float d = f32_of_f16(static_cast<uint16_t>(b[208] | (b[209] << 8)));
  for (int j = 0; j < 16; ++j) {
    const int sc = level(scale[j], d, -128, 127), half = j / 8, quarter = j % 8 / 2;
    b[192 + j] = static_cast<uint8_t>(static_cast<int8_t>(sc));
    for (int i = 0; i < 16; ++i) {
      const int q = level(x[16 * j + i], d * static_cast<float>(sc), -32, 31) + 32, at = j % 2 * 16 + i;
      uint8_t &low = b[half * 64 + quarter % 2 * 32 + at], &high = b[128 + half * 32 + at];
      low = static_cast<uint8_t>(low | ((q & 15) << (quarter / 2 * 4)));
      high = static_cast<uint8_t>(high | ((q >> 4) << (2 * quarter)));
    }
  }
}

template <void (*Block)(const float*, uint8_t*)>
void blocks(ElementType type, const float* src, uint8_t* dst, int64_t n) {
  for (int64_t i = 0; i < n; i += block_length(type), dst += block_bytes(type)) Block(src + i, dst);
}

}  // namespace

bool can_quantize(ElementType type) {
  switch (type) {
    case ElementType::kF32:
    case ElementType::kF16:
    case ElementType::kBF16:
    case ElementType::kQ8_0:
    case ElementType::kQ4_0:
    case ElementType::kQ4_1:
    case ElementType::kQ4_K:
    case ElementType::kQ6_K: return true;
    default: return false;
  }
}

void quantize_row(ElementType type, const float* src, void* dst, int64_t n) {
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
    case ElementType::kQ8_0: return blocks<q8_0>(type, src, d, n);
    case ElementType::kQ4_0: return blocks<q4_0>(type, src, d, n);
    case ElementType::kQ4_1: return blocks<q4_1>(type, src, d, n);
    case ElementType::kQ4_K: return blocks<q4_k>(type, src, d, n);
    case ElementType::kQ6_K: return blocks<q6_k>(type, src, d, n);
    default:
      bad_input("cannot write the element type " + std::string(element_name(type)), "", "use F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K or Q6_K");
  }
}

}  // namespace ingot
