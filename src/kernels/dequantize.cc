#include "kernels/dequantize.h"

#include <cstring>

#include "core/error.h"
#include "kernels/block_formats.h"

namespace ingot {
namespace {

float half_at(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return f32_of_f16(bits);
}

uint32_t word_at(const uint8_t* p) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return bits;
}

void q8_0(const uint8_t* b, float* y) {
  float d = half_at(b);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(b[2 + i]));
}

void q4_0(const uint8_t* b, float* y) {
  float d = half_at(b);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>((b[2 + i] & 15) - 8);
    y[i + 16] = d * static_cast<float>((b[2 + i] >> 4) - 8);
  }
}

void q4_1(const uint8_t* b, float* y) {
  float d = half_at(b), m = half_at(b + 2);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(b[4 + i] & 15) + m;
    y[i + 16] = d * static_cast<float>(b[4 + i] >> 4) + m;
  }
}

void q5_0(const uint8_t* b, float* y) {
  float d = half_at(b);
  uint32_t high = word_at(b + 2);
  for (int i = 0; i < 16; ++i) {
    int low = (b[6 + i] & 15) | (((high >> i) & 1) << 4), top = (b[6 + i] >> 4) | (((high >> (i + 16)) & 1) << 4);
    y[i] = d * static_cast<float>(low - 16);
    y[i + 16] = d * static_cast<float>(top - 16);
  }
}

void q5_1(const uint8_t* b, float* y) {
  float d = half_at(b), m = half_at(b + 2);
  uint32_t high = word_at(b + 4);
  for (int i = 0; i < 16; ++i) {
    int low = (b[8 + i] & 15) | (((high >> i) & 1) << 4), top = (b[8 + i] >> 4) | (((high >> (i + 16)) & 1) << 4);
    y[i] = d * static_cast<float>(low) + m;
    y[i + 16] = d * static_cast<float>(top) + m;
  }
}

void q2_k(const uint8_t* b, float* y) {
  float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int half = 0; half < 2; ++half)
    for (int shift = 0; shift < 4; ++shift)
      for (int part = 0; part < 2; ++part, y += 16) {
        uint8_t s = b[half * 8 + shift * 2 + part];
        float scale = d * static_cast<float>(s & 15), low = dmin * static_cast<float>(s >> 4);
        const uint8_t* q = b + 16 + half * 32 + part * 16;
        for (int i = 0; i < 16; ++i) y[i] = scale * static_cast<float>((q[i] >> (2 * shift)) & 3) - low;
      }
}

void q3_k(const uint8_t* b, float* y) {
  float d = half_at(b + 108);
  int8_t scales[16];
  q3_k_scales(b + 96, scales);
  for (int half = 0; half < 2; ++half)
    for (int shift = 0; shift < 4; ++shift)
      for (int part = 0; part < 2; ++part, y += 16) {
        float scale = d * static_cast<float>(scales[half * 8 + shift * 2 + part]);
        const uint8_t *q = b + 32 + half * 32 + part * 16, *mask = b + part * 16;
        for (int i = 0; i < 16; ++i) {
          int high = (mask[i] >> (half * 4 + shift)) & 1;  // a clear bit subtracts 4
          y[i] = scale * static_cast<float>(((q[i] >> (2 * shift)) & 3) - (high ? 0 : 4));
        }
      }
}

void q4_k(const uint8_t* b, float* y) {
  float d = half_at(b), dmin = half_at(b + 2);
  for (int j = 0; j < 8; ++j, y += 32) {
    SixBit s = six_bit_pair(b + 4, j);
    float scale = d * static_cast<float>(s.scale), low = dmin * static_cast<float>(s.min);
    const uint8_t* q = b + 16 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) y[i] = scale * static_cast<float>((q[i] >> (j % 2 * 4)) & 15) - low;
  }
}

void q5_k(const uint8_t* b, float* y) {
  float d = half_at(b), dmin = half_at(b + 2);
  for (int j = 0; j < 8; ++j, y += 32) {
    SixBit s = six_bit_pair(b + 4, j);
    float scale = d * static_cast<float>(s.scale), low = dmin * static_cast<float>(s.min);
    const uint8_t *q = b + 48 + j / 2 * 32, *high = b + 16;
    for (int i = 0; i < 32; ++i)
      y[i] = scale * static_cast<float>(((q[i] >> (j % 2 * 4)) & 15) | (((high[i] >> j) & 1) << 4)) - low;
  }
}

void q6_k(const uint8_t* b, float* y) {
  float d = half_at(b + 208);
  for (int half = 0; half < 2; ++half)
    for (int quarter = 0; quarter < 4; ++quarter)
      for (int i = 0; i < 32; ++i, ++y) {
        const uint8_t low = b[half * 64 + (quarter % 2) * 32 + i], high = b[128 + half * 32 + i];
        int q = ((quarter < 2 ? low & 15 : low >> 4) | (((high >> (2 * quarter)) & 3) << 4)) - 32;
        float scale = d * static_cast<float>(static_cast<int8_t>(b[192 + half * 8 + quarter * 2 + i / 16]));
        *y = scale * static_cast<float>(q);
      }
}

void iq4_nl(const uint8_t* b, float* y) {
  float d = half_at(b);
  for (int i = 0; i < 16; ++i) {
    y[i] = d * static_cast<float>(kNonLinear4[b[2 + i] & 15]);
    y[i + 16] = d * static_cast<float>(kNonLinear4[b[2 + i] >> 4]);
  }
}

void iq4_xs(const uint8_t* b, float* y) {
  float d = half_at(b);
  uint32_t high = b[2] | (b[3] << 8);
  for (int j = 0; j < 8; ++j, y += 32) {
    int scale = ((b[4 + j / 2] >> (j % 2 * 4)) & 15) | (((high >> (2 * j)) & 3) << 4);
    float s = d * static_cast<float>(scale - 32);
    const uint8_t* q = b + 8 + j * 16;
    for (int i = 0; i < 16; ++i) {
      y[i] = s * static_cast<float>(kNonLinear4[q[i] & 15]);
      y[i + 16] = s * static_cast<float>(kNonLinear4[q[i] >> 4]);
    }
  }
}

template <void (*Block)(const uint8_t*, float*)>
void blocks(ElementType type, const uint8_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; i += block_length(type), src += block_bytes(type)) Block(src, dst + i);
}

}  // namespace

void dequantize_row(ElementType type, const void* src, float* dst, int64_t n) {
  const auto* s = static_cast<const uint8_t*>(src);
  switch (type) {
    case ElementType::kF32:
      std::memcpy(dst, src, static_cast<size_t>(n) * 4);
      return;
    case ElementType::kF16:
      for (int64_t i = 0; i < n; ++i) dst[i] = half_at(s + 2 * i);
      return;
    case ElementType::kBF16:
      for (int64_t i = 0; i < n; ++i) {
        uint16_t bits;
        std::memcpy(&bits, s + 2 * i, 2);
        dst[i] = f32_of_bf16(bits);
      }
      return;
    case ElementType::kQ8_0: return blocks<q8_0>(type, s, dst, n);
    case ElementType::kQ4_0: return blocks<q4_0>(type, s, dst, n);
    case ElementType::kQ4_1: return blocks<q4_1>(type, s, dst, n);
    case ElementType::kQ5_0: return blocks<q5_0>(type, s, dst, n);
    case ElementType::kQ5_1: return blocks<q5_1>(type, s, dst, n);
    case ElementType::kQ2_K: return blocks<q2_k>(type, s, dst, n);
    case ElementType::kQ3_K: return blocks<q3_k>(type, s, dst, n);
    case ElementType::kQ4_K: return blocks<q4_k>(type, s, dst, n);
    case ElementType::kQ5_K: return blocks<q5_k>(type, s, dst, n);
    case ElementType::kQ6_K: return blocks<q6_k>(type, s, dst, n);
    case ElementType::kIQ4_NL: return blocks<iq4_nl>(type, s, dst, n);
    case ElementType::kIQ4_XS: return blocks<iq4_xs>(type, s, dst, n);
  }
}

}  // namespace ingot
