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
    case ElementType::kQ4_1: return true;
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
    default:
      bad_input("cannot write the element type " + std::string(element_name(type)), "", "use F32, F16, BF16, Q8_0, Q4_0 or Q4_1");
  }
}

}  // namespace ingot
