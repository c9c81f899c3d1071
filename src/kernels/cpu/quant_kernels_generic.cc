#include <smmintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/block_formats.h"
#include "kernels/cpu/quant_lanes.h"
#include "kernels/target.h"
#include "tensor/element_type.h"

namespace ingot::cpu {
namespace {

inline void load16(const uint8_t* base, const int64_t* offsets, V (&out)[4]) {
  for (int r = 0; r < 16; ++r)
    for (int j = 0; j < 4; ++j) {
      uint32_t word;
      std::memcpy(&word, base + offsets[r] + 4 * j, 4);
      out[j][r] = word;
    }
}

inline VF halves(const V& bits) {
  VF f;
  for (int r = 0; r < 16; ++r) f[r] = f32_of_f16(static_cast<uint16_t>(bits[r]));
  return f;
}

inline V look_up(const V& nibbles) {
  V out;
  for (int r = 0; r < 16; ++r) {
    uint32_t word = 0;
    for (int j = 0; j < 4; ++j) word |= static_cast<uint32_t>(static_cast<uint8_t>(kNonLinear4[(nibbles[r] >> (8 * j)) & 15] + 128)) << (8 * j);
    out[r] = word;
  }
  return out;
}

}  // namespace
}  // namespace ingot::cpu

#include "kernels/cpu/quant_pack.h"

namespace ingot::cpu {
namespace {

void tile(const QuantForm& form, int rows, int64_t blocks, const Panel& w, const Activations& x, float* y, int64_t ldy, bool load) {
  const int sub = form.sub, steps = 8 / sub;
  for (int i = 0; i < rows; ++i)
    for (int g = 0; g < 2; ++g) {
      float sum[16] = {};
      if (load) std::copy_n(y + i * ldy + 16 * g, 16, sum);
      const uint8_t* q = w.quants + g * w.quants_stride;
      for (int64_t b = 0; b < blocks; ++b)
        for (int part = 0; part < sub; ++part) {
          int64_t at = b * sub + part, xat = i * x.scales_stride * sub + at;
          int32_t dot[16];
          std::fill_n(dot, 16, form.minima ? 0 : x.start[xat]);
          for (int step = 0; step < steps; ++step)
            for (int r = 0; r < 16; ++r)
              for (int j = 0; j < 4; ++j)
                dot[r] += q[((at * steps + step) * 16 + r) * 4 + j] * x.quants[i * x.quants_stride + (at * steps + step) * 4 + j];
          float d = x.scales[i * x.scales_stride + b];
          for (int r = 0; r < 16; ++r) {
            sum[r] += w.scales[g * w.scales_stride + at * 16 + r] * d * static_cast<float>(dot[r]);
            if (form.minima) sum[r] += w.mins[g * w.scales_stride + at * 16 + r] * x.sums[xat];
          }
        }
      std::copy_n(sum, 16, y + i * ldy + 16 * g);
    }
}

}  // namespace

const QuantKernels& quant_kernels_generic() {
  static constexpr QuantKernels kernels = {4, pack_panel, tile};
  return kernels;
}

const QuantKernels& quant_kernels() {
  Target target = active_target();
  if (target >= Target::kAvx512Vnni) return quant_kernels_avx512vnni();
  if (target == Target::kAvxVnni) return quant_kernels_avxvnni();
  if (target >= Target::kAvx2) return quant_kernels_avx2();  // AVX-512 without VNNI too
  return quant_kernels_generic();
}

QuantForm quant_form(ElementType type) {
  switch (type) {
    case ElementType::kQ8_0: return {1, 128, false, Width::kEight};
    case ElementType::kQ4_0: return {1, 8, false, Width::kFour};
    case ElementType::kQ4_1: return {1, 0, true, Width::kFour};
    case ElementType::kQ5_0: return {1, 16, false, Width::kSeven};
    case ElementType::kQ5_1: return {1, 0, true, Width::kSeven};
    case ElementType::kQ2_K: return {2, 0, true, Width::kSeven};
    case ElementType::kQ3_K: return {2, 4, false, Width::kSeven};
    case ElementType::kQ4_K: return {1, 0, true, Width::kFour};
    case ElementType::kQ5_K: return {1, 0, true, Width::kSeven};
    case ElementType::kQ6_K: return {2, 32, false, Width::kSeven};
    case ElementType::kIQ4_NL:
    case ElementType::kIQ4_XS: return {1, 128, false, Width::kEight};
    default: return {1, 0, false, Width::kEight};
  }
}

void quantize_activations(const QuantForm& form, const float* x, int64_t k, int8_t* quants, float* scales, int32_t* start, float* sums) {
  for (int64_t b = 0; b < k / 32; ++b, x += 32, quants += 32) {
    __m128i magnitudes = _mm_setzero_si128();  // they order as integers, and NaN is the largest
    for (int i = 0; i < 32; i += 4)
      magnitudes = _mm_max_epi32(magnitudes, _mm_and_si128(_mm_castps_si128(_mm_loadu_ps(x + i)), _mm_set1_epi32(0x7fffffff)));
    magnitudes = _mm_max_epi32(magnitudes, _mm_shuffle_epi32(magnitudes, 0x4e));
    magnitudes = _mm_max_epi32(magnitudes, _mm_shuffle_epi32(magnitudes, 0xb1));
    const float largest = std::bit_cast<float>(_mm_cvtsi128_si32(magnitudes));
    const bool nothing = largest < 1e-30f;  // its inverse would overflow
    const float d = nothing ? 0.0f : largest / 127.0f, inverse = nothing || !(largest <= 3.4e38f) ? 0.0f : 127.0f / largest;
    scales[b] = d;
    int32_t total[2];
    for (int part = 0; part < 2; ++part) {
      __m128i whole[4];
      for (int i = 0; i < 4; ++i) whole[i] = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x + 16 * part + 4 * i), _mm_set1_ps(inverse)));
      __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(whole[0], whole[1]), _mm_packs_epi32(whole[2], whole[3]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(quants + 16 * part), bytes);
      __m128i sum = _mm_madd_epi16(_mm_maddubs_epi16(_mm_set1_epi8(1), bytes), _mm_set1_epi16(1));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
      total[part] = _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1)));
    }
    if (form.sub == 1) total[0] += total[1];
    for (int part = 0; part < form.sub; ++part) {
      if (form.minima)
        sums[b * form.sub + part] = d * static_cast<float>(total[part]);
      else
        start[b * form.sub + part] = -form.offset * total[part];
    }
  }
}

}  // namespace ingot::cpu
