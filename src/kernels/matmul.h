// Activations times weights of any stored type: the product that inference spends its time in.
#pragma once

#include <cstdint>

#include "core/threads.h"
#include "tensor/element_type.h"

namespace ingot {

// y[m,n] = x[m,k] W[n,k]^T; W's rows are contiguous, each row_bytes(wtype, k) long; y must not overlap x.
// Block-quantised weights meet activations quantised to int8 in blocks of 32 (symmetric, f32 scale); float types keep x in f32.
// A row of y is bit-identical whatever m, the thread count or the other rows are. Allocates nothing once workspaces have grown.
// Throws Error (input) when k is no multiple of the type's block.
void matmul(ElementType wtype, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team);

}  // namespace ingot
