// The float inner loops of one target; gemm.cc and matmul.cc drive them.
#pragma once

#include <cstdint>

#include "tensor/element_type.h"

namespace ingot::cpu {

struct FloatKernels {
  int mr, nr;  // the register tile: rows of A by columns of B

  // c[rows,nr] = (load ? c : 0) + sum over p of a[p*a_step + i] * b[p*nr + j]; one fused chain over p an element. 1 <= rows <= mr.
  void (*tile)(int rows, int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, bool load);

  // out[p*width + r] = src[r*ld + p] for r < rows, 0 for rows <= r < width: a strip of rows becomes a k-major panel.
  void (*pack_rows)(const float* src, int64_t ld, int rows, int64_t k, int width, float* out);

  // out[p*width + j] = src[p*ld + j] for j < columns, 0 beyond.
  void (*pack_columns)(const float* src, int64_t ld, int columns, int64_t k, int width, float* out);

  void (*from_f16)(const uint16_t* src, float* dst, int64_t n);
  void (*from_bf16)(const uint16_t* src, float* dst, int64_t n);

  // y[rows, 16 groups] = (go_on ? y : 0) + x[rows, k] times interleaved weights (matmul.h): a group's element p at w + 16 p, the next
  // group `step` elements on. 1 <= rows <= stream_rows. The chain is the tile's.
  int stream_rows;
  void (*stream)(ElementType type, const void* w, int64_t step, int groups, int rows, int64_t k, const float* x, int64_t ldx, float* y, int64_t ldy, bool go_on);
};

const FloatKernels& float_kernels_generic();
const FloatKernels& float_kernels_avx2();
const FloatKernels& float_kernels_avx512();

// The set of the active target.
const FloatKernels& float_kernels();

// Products in bf16 of f32 matrices, which are rounded as they are packed.
struct Bf16Kernels {
  int mr, nr;
  int unit;  // the k of one step; panels are padded to it with zeros
  int pace;  // multiply-adds in the time that one number takes to be packed

  // c[rows,nr] = (load ? c : 0) + the product over `steps` steps. 1 <= rows <= mr; a's strip is always mr wide.
  void (*tile)(int rows, int64_t steps, const uint16_t* a, const uint16_t* b, float* c, int64_t ldc, bool load);

  // As FloatKernels' pack_rows and pack_columns, for either side. The right side's panel is out[(p/2*width + j)*2 + p%2]; the left's is
  // the tile's own matter. A left side with a unit over 2 is packed in one go.
  void (*left_rows)(const float* src, int64_t ld, int rows, int64_t k, int width, uint16_t* out);
  void (*left_columns)(const float* src, int64_t ld, int columns, int64_t k, int width, uint16_t* out);
  void (*right_rows)(const float* src, int64_t ld, int rows, int64_t k, int width, uint16_t* out);
  void (*right_columns)(const float* src, int64_t ld, int columns, int64_t k, int width, uint16_t* out);
};

const Bf16Kernels& bf16_kernels_avx512bf16();
const Bf16Kernels& bf16_kernels_amx();
const Bf16Kernels* bf16_kernels();  // null when the active target has none

}  // namespace ingot::cpu
