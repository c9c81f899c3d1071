#include <cstring>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/float_stream.h"
#include "kernels/target.h"
#include "tensor/element_type.h"

namespace ingot::cpu {
namespace {

constexpr int kRows = 4, kColumns = 16;

void tile(int rows, int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, bool load) {
  float sum[kRows][kColumns] = {};
  if (load)
    for (int i = 0; i < rows; ++i) std::memcpy(sum[i], c + i * ldc, sizeof sum[i]);
  for (int64_t p = 0; p < k; ++p)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < kColumns; ++j) sum[i][j] += a[p * a_step + i] * b[p * kColumns + j];
  for (int i = 0; i < rows; ++i) std::memcpy(c + i * ldc, sum[i], sizeof sum[i]);
}

void pack_rows(const float* src, int64_t ld, int rows, int64_t k, int width, float* out) {
  for (int64_t p = 0; p < k; ++p)
    for (int r = 0; r < width; ++r) out[p * width + r] = r < rows ? src[r * ld + p] : 0.0f;
}

void pack_columns(const float* src, int64_t ld, int columns, int64_t k, int width, float* out) {
  for (int64_t p = 0; p < k; ++p)
    for (int j = 0; j < width; ++j) out[p * width + j] = j < columns ? src[p * ld + j] : 0.0f;
}

void from_f16(const uint16_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = f32_of_f16(src[i]);
}

void from_bf16(const uint16_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = f32_of_bf16(src[i]);
}

}  // namespace

const FloatKernels& float_kernels_generic() {
  static constexpr FloatKernels kernels = {kRows, kColumns, tile, pack_rows, pack_columns, from_f16, from_bf16, kStreamedRows, stream};
  return kernels;
}

const FloatKernels& float_kernels() {
  Target target = active_target();
  if (target >= Target::kAvx512) return float_kernels_avx512();
  if (target >= Target::kAvx2) return float_kernels_avx2();
  return float_kernels_generic();
}

const Bf16Kernels* bf16_kernels() {
  if (active_target() >= Target::kAmx) return &bf16_kernels_amx();
  return active_target() >= Target::kAvx512Bf16 ? &bf16_kernels_avx512bf16() : nullptr;
}

}  // namespace ingot::cpu
