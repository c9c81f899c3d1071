// Conversion between stored element types and f32, block formats as GGUF defines them.
#pragma once

#include <cstdint>

#include "tensor/element_type.h"

namespace ingot {

// n elements, a multiple of block_length(type); src holds row_bytes(type, n) bytes at any alignment.
// Bit-exact with the definition of each format evaluated in f32.
void dequantize_row(ElementType type, const void* src, float* dst, int64_t n);

// True for the types quantize_row writes: all of them.
bool can_quantize(ElementType type);

// Nearest representable values. Q8_0, and without importance Q4_0 to Q5_1, as GGUF's reference has them; the others choose scales that
// lose least. importance: what an error in each of the n elements costs, or null. dst holds row_bytes(type, n).
void quantize_row(ElementType type, const float* src, void* dst, int64_t n, const float* importance = nullptr);

}  // namespace ingot
