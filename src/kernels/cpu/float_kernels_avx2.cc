#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/float_stream.h"

namespace ingot::cpu {
namespace {

// 16 registers: 6 x 2 sums, 2 of B, 1 of A, 1 spare.
constexpr int kRows = 6, kColumns = 16;

template <int R>
void tile_rows(int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, bool load) {
  __m256 sum[R][2];
#pragma GCC unroll 6
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < 2; ++j) sum[i][j] = load ? _mm256_loadu_ps(c + i * ldc + j * 8) : _mm256_setzero_ps();
  for (int64_t p = 0; p < k; ++p, a += a_step, b += kColumns) {
    __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < R; ++i) {
      __m256 left = _mm256_broadcast_ss(a + i);
      sum[i][0] = _mm256_fmadd_ps(left, b0, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(left, b1, sum[i][1]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < 2; ++j) _mm256_storeu_ps(c + i * ldc + j * 8, sum[i][j]);
}

void tile(int rows, int64_t k, const float* a, int64_t a_step, const float* b, float* c, int64_t ldc, bool load) {
  switch (rows) {
    case 1: return tile_rows<1>(k, a, a_step, b, c, ldc, load);
    case 2: return tile_rows<2>(k, a, a_step, b, c, ldc, load);
    case 3: return tile_rows<3>(k, a, a_step, b, c, ldc, load);
    case 4: return tile_rows<4>(k, a, a_step, b, c, ldc, load);
    case 5: return tile_rows<5>(k, a, a_step, b, c, ldc, load);
    default: return tile_rows<6>(k, a, a_step, b, c, ldc, load);
  }
}

void transpose8(__m256 (&r)[8]) {
  __m256 t[8];
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  __m256 u[8];
  for (int h = 0; h < 2; ++h) {
    u[4 * h] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0x44);
    u[4 * h + 1] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0xee);
    u[4 * h + 2] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0x44);
    u[4 * h + 3] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

void pack_rows(const float* src, int64_t ld, int rows, int64_t k, int width, float* out) {
  for (int first = 0; first < width; first += 8) {
    int here = rows - first < 8 ? rows - first : 8, lanes = width - first < 8 ? width - first : 8;
    __m256i keep = _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    int64_t p = 0;
    for (; p + 8 <= k; p += 8) {
      __m256 r[8];
      for (int i = 0; i < 8; ++i) r[i] = i < here ? _mm256_loadu_ps(src + (first + i) * ld + p) : _mm256_setzero_ps();
      transpose8(r);
      if (lanes == 8)
        for (int i = 0; i < 8; ++i) _mm256_storeu_ps(out + (p + i) * width + first, r[i]);
      else if (width < 8 && p + 8 < k)  // what a whole register writes too much, the next one overwrites; masked stores are slow
        for (int i = 0; i < 8; ++i) _mm256_storeu_ps(out + (p + i) * width, r[i]);
      else
        for (int i = 0; i < 8; ++i) _mm256_maskstore_ps(out + (p + i) * width + first, keep, r[i]);
    }
    for (; p < k; ++p)
      for (int i = 0; i < lanes; ++i) out[p * width + first + i] = i < here ? src[(first + i) * ld + p] : 0.0f;
  }
}

void pack_columns(const float* src, int64_t ld, int columns, int64_t k, int width, float* out) {
  for (int64_t p = 0; p < k; ++p, src += ld, out += width) {
    if (columns == 16 && width == 16) {
      _mm256_storeu_ps(out, _mm256_loadu_ps(src));
      _mm256_storeu_ps(out + 8, _mm256_loadu_ps(src + 8));
    } else if (columns == kRows && width == kRows) {
      _mm_storeu_ps(out, _mm_loadu_ps(src));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 4), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(src + 4)));
    } else {
      for (int j = 0; j < width; ++j) out[j] = j < columns ? src[j] : 0.0f;
    }
  }
}

void from_f16(const uint16_t* src, float* dst, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i))));
  for (; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, src + i, 2);
    dst[i] = _cvtsh_ss(bits);
  }
}

void from_bf16(const uint16_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, src + i, 2);
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    std::memcpy(dst + i, &wide, 4);
  }
}

}  // namespace

const FloatKernels& float_kernels_avx2() {
  static constexpr FloatKernels kernels = {kRows, kColumns, tile, pack_rows, pack_columns, from_f16, from_bf16, kStreamedRows, stream};
  return kernels;
}

}  // namespace ingot::cpu
