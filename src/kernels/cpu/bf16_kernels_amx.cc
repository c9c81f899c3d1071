#include <cstring>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/bf16_pack_avx512.h"
#include "kernels/cpu/float_kernels.h"

namespace ingot::cpu {
namespace {

// 2 x 2 registers of sums: four products (64 cycles) for four loads (32), so the products decide. A step is 32 k.
constexpr int kRows = 32, kColumns = 32, kUnit = 32;
constexpr int kPace = 80;  // 512 multiply-adds a cycle; a number is packed in about a sixth of one

// A's strip: [step][row][32 k].
void left_rows(const float* src, int64_t ld, int rows, int64_t k, int, uint16_t* out) {
  for (int64_t p = 0; p < k; p += kUnit)
    for (int i = 0; i < kRows; ++i, out += kUnit)
      _mm512_store_si512(out, i < rows ? bf16_row(src + i * ld + p, k - p) : _mm512_setzero_si512());
}

void left_columns(const float* src, int64_t ld, int columns, int64_t k, int, uint16_t* out) {
  for (int64_t p = 0; p < k; p += kUnit, out += kRows * kUnit)
    for (int first = 0; first < kRows; first += 16) {
      const __mmask16 read = first_lanes(columns - first);
      __m512i r[16];  // pairs of k, a column a lane
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        const int64_t at = p + 2 * i;
        const float* even = src + at * ld + first;
        r[i] = at < k ? bf16_pairs(even, at + 1 < k ? even + ld : nullptr, read) : _mm512_setzero_si512();
      }
      transpose16(r);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) _mm512_store_si512(out + (first + i) * kUnit, r[i]);
    }
}

void whole_tile(int64_t steps, const uint16_t* a, const uint16_t* b, float* c, int64_t ldc, bool load) {
  const int64_t bytes = ldc * 4;
  if (load) {
    load_tile<0>(c, bytes);
    load_tile<1>(c + 16, bytes);
    load_tile<2>(c + 16 * ldc, bytes);
    load_tile<3>(c + 16 * ldc + 16, bytes);
  } else {
    clear_tile<0>(), clear_tile<1>(), clear_tile<2>(), clear_tile<3>();
  }
  for (int64_t s = 0; s < steps; ++s, a += kRows * kUnit, b += kColumns * kUnit) {
    load_tile<4>(a, 64);
    load_tile<6>(b, 128);
    load_tile<7>(b + 32, 128);
    multiply_bf16<0, 4, 6>();
    multiply_bf16<1, 4, 7>();
    load_tile<5>(a + 16 * kUnit, 64);
    multiply_bf16<2, 5, 6>();
    multiply_bf16<3, 5, 7>();
  }
  store_tile<0>(c, bytes);
  store_tile<1>(c + 16, bytes);
  store_tile<2>(c + 16 * ldc, bytes);
  store_tile<3>(c + 16 * ldc + 16, bytes);
}

void tile(int rows, int64_t steps, const uint16_t* a, const uint16_t* b, float* c, int64_t ldc, bool load) {
  use_tiles();
  if (rows == kRows) return whole_tile(steps, a, b, c, ldc, load);
  alignas(64) float all[kRows * kColumns];
  if (load) {
    std::memset(all, 0, sizeof all);
    for (int i = 0; i < rows; ++i) std::memcpy(all + i * kColumns, c + i * ldc, sizeof(float) * kColumns);
  }
  whole_tile(steps, a, b, all, kColumns, load);
  for (int i = 0; i < rows; ++i) std::memcpy(c + i * ldc, all + i * kColumns, sizeof(float) * kColumns);
}

}  // namespace

const Bf16Kernels& bf16_kernels_amx() {
  static constexpr Bf16Kernels kernels = {kRows, kColumns, kUnit, kPace, tile, left_rows, left_columns, pack_pairs_of_rows<kUnit>, pack_pairs_of_columns<kUnit>};
  return kernels;
}

}  // namespace ingot::cpu
