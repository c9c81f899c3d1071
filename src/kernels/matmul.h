// Activations times weights of any stored type: the product that inference spends its time in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/threads.h"
#include "tensor/element_type.h"

namespace ingot {

// y[m,n] = x[m,k] W[n,k]^T; W's rows are contiguous, each row_bytes(wtype, k) long; y must not overlap x.
// Block-quantised weights meet activations quantised to int8 in blocks of 32 (symmetric, f32 scale); float types keep x in f32.
// A row of y is bit-identical whatever m, the thread count or the other rows are, and whether W is interleaved or not.
// Allocates nothing once workspaces have grown. Throws Error (input) when k is no multiple of the type's block.
void matmul(ElementType wtype, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team);

struct MatmulPart {
  ElementType type;
  const void* w;
  const void* interleaved;  // null: there is none; the same weights as interleave_rows leaves them
  int64_t n;
  float* y;  // [m, n]
};

// Memory that is read after a product; of several pieces each thread of the team reads an equal share, in order.
struct Upcoming {
  const std::byte* data;
  int64_t bytes;
};

// Several products of the same x in one go: x is quantised once, and the threads meet once. Where the products take longer than reading
// their weights, what is `upcoming` is fetched meanwhile.
void matmul(std::span<const MatmulPart> parts, int64_t k, const float* x, int64_t m, ThreadTeam& team, std::span<const Upcoming> upcoming = {});

// Every type has an interleaved form: blocks as kernels/cpu/quant_kernels.h has them, floats with element p of 16 rows side by side.
int64_t interleaved_bytes(ElementType type, int64_t n, int64_t k);
// Rows [first, last) of W's 16-row groups: group g of `out` holds rows 16g .. 16g+15.
void interleave_groups(ElementType type, const void* w, int64_t n, int64_t k, int64_t first, int64_t last, void* out);

}  // namespace ingot
