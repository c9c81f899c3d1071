// The number formats that a tensor may be stored in, block-quantised ones as GGUF defines them.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ingot {

enum class ElementType { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ2_K, kQ3_K, kQ4_K, kQ5_K, kQ6_K, kIQ4_NL, kIQ4_XS };

inline constexpr int kElementTypes = 15;

std::string_view element_name(ElementType type);  // "F32", "Q4_K", ...
int64_t block_length(ElementType type);           // elements in a block; 1, 32 or 256
int64_t block_bytes(ElementType type);            // bytes of a block
uint32_t gguf_type_id(ElementType type);

// Nothing when GGUF has the id but we do not read it, or the id is unknown.
std::optional<ElementType> element_type_of_gguf(uint32_t id);
std::optional<ElementType> element_type_of_name(std::string_view name);  // case matters, as in element_name

// Bytes of n contiguous elements. Throws Error (input) when n is negative, no multiple of the block, or too large to count.
int64_t row_bytes(ElementType type, int64_t n);

// IEEE half and bfloat16 as their bits; round to nearest even, NaN stays NaN.
float f32_of_f16(uint16_t bits);
uint16_t f16_of_f32(float value);
inline float f32_of_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
inline uint16_t bf16_of_f32(float value) {
  uint32_t u = std::bit_cast<uint32_t>(value);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 64);  // keep NaN quiet
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

}  // namespace ingot
