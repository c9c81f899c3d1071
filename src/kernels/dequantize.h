// Conversion between stored element types and f32, block formats as GGUF defines them.
#pragma once

#include <cstdint>

#include "tensor/element_type.h"

namespace ingot {

// n elements, a multiple of block_length(type); src holds row_bytes(type, n) bytes at any alignment.
// Bit-exact with the definition of each format evaluated in f32.
void dequantize_row(ElementType type, const void* src, float* dst, int64_t n);

// True for the types quantize_row writes.
bool can_quantize(ElementType type);

// Nearest representable values (block types: scale from the block's extremes, as GGUF's reference does). dst holds row_bytes(type, n).
// Throws Error (input) for a type that can_quantize refuses.
void quantize_row(ElementType type, const float* src, void* dst, int64_t n);

}  // namespace ingot
