// Details that several kernels share about GGUF's block formats.
#pragma once

#include <cstdint>

namespace ingot {

// The 16 levels of IQ4_NL and IQ4_XS.
inline constexpr int8_t kNonLinear4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct SixBit {
  int scale, min;
};

// The j-th of 8 six-bit scales and minima in the 12 bytes of Q4_K and Q5_K.
inline SixBit six_bit_pair(const uint8_t* s, int j) {
  if (j < 4) return {s[j] & 63, s[j + 4] & 63};
  return {(s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4)};
}

// The 16 six-bit signed scales in the 12 bytes of Q3_K.
inline void q3_k_scales(const uint8_t* s, int8_t* out) {
  for (int j = 0; j < 16; ++j) {
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4, high = (s[8 + j % 4] >> (j / 4 * 2)) & 3;
    out[j] = static_cast<int8_t>((low | (high << 4)) - 32);
  }
}

}  // namespace ingot
