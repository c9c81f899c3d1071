// One block of a type that is fitted: x holds its elements, importance a weight for each or null. The layouts are GGUF's.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/element_type.h"

namespace ingot {

inline void put_half(uint8_t* p, float value) {
  uint16_t bits = f16_of_f32(value);
  std::memcpy(p, &bits, 2);
}
inline float get_half(const uint8_t* p) { return f32_of_f16(static_cast<uint16_t>(p[0] | (p[1] << 8))); }

void quantize_q2_k(const float* x, const float* importance, uint8_t* block);
void quantize_q3_k(const float* x, const float* importance, uint8_t* block);
void quantize_q4_k(const float* x, const float* importance, uint8_t* block);
void quantize_q5_k(const float* x, const float* importance, uint8_t* block);
void quantize_q6_k(const float* x, const float* importance, uint8_t* block);
void quantize_iq4_nl(const float* x, const float* importance, uint8_t* block);
void quantize_iq4_xs(const float* x, const float* importance, uint8_t* block);

}  // namespace ingot
