#include "kernels/cpu/quant_kernels.h"

#include <smmintrin.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cpu/quant_formats.h"
#include "kernels/target.h"
#include "tensor/element_type.h"

namespace ingot::cpu {

const QuantKernels& quant_kernels() {
  Target target = active_target();
  // On AMX, too: each block's sums must leave a tile before they are scaled, and on the one machine at hand (a Xeon of the fifth
  // generation) such a kernel took 32 ns where this one takes 40, and a 1.1B model's prefill was not faster.
  if (target >= Target::kAvx512Vnni) return quant_kernels_avx512vnni();
  if (target == Target::kAvxVnni) return quant_kernels_avxvnni();
  if (target >= Target::kAvx2) return quant_kernels_avx2();  // AVX-512 without VNNI too
  return quant_kernels_generic();
}

QuantForm quant_form(ElementType type) {
  QuantForm form{};
  with_format(type, [&](auto f) { form = {f.sub, f.offset, f.minima, f.width}; });
  return form;
}

void quantize_activations(const QuantForm& form, Sums form_of_sums, const float* x, int64_t k, int8_t* quants, float* scales, int32_t* start,
                          float* sums) {
  const int offset = form_of_sums == Sums::kWhole ? form.offset : form.width == Width::kLifted ? 16 : form.width == Width::kSigned ? 0 : form.offset;
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
    int32_t total[2][2];  // of the first and the second pair of every four, for each half of the block
    for (int part = 0; part < 2; ++part) {
      __m128i whole[4];
      for (int i = 0; i < 4; ++i) whole[i] = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(x + 16 * part + 4 * i), _mm_set1_ps(inverse)));
      __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(whole[0], whole[1]), _mm_packs_epi32(whole[2], whole[3]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(quants + 16 * part), bytes);
      __m128i sum = _mm_maddubs_epi16(_mm_set1_epi8(1), bytes);  // 8 pairs; no sum of four of them leaves 16 bits
      sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0x4e));
      sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0xb1));
      const int32_t both = _mm_cvtsi128_si32(sum);
      total[part][0] = static_cast<int16_t>(both & 0xffff);
      total[part][1] = both >> 16;
    }
    if (form.sub == 1)
      for (int pair = 0; pair < 2; ++pair) total[0][pair] += total[1][pair];
    for (int part = 0; part < form.sub; ++part) {
      const int32_t low = -offset * total[part][0], high = -offset * total[part][1];
      start[b * form.sub + part] = form_of_sums == Sums::kWhole ? low + high : static_cast<int32_t>((static_cast<uint32_t>(high) << 16) | (static_cast<uint32_t>(low) & 0xffff));
      if (form.minima) sums[b * form.sub + part] = d * static_cast<float>(total[part][0] + total[part][1]);
    }
  }
}

}  // namespace ingot::cpu
