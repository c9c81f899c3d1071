// Super-blocks of 256: parts are fitted, their scales are rounded to few bits, then levels are chosen again for the rounded scales.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/quantize_blocks.h"
#include "kernels/quantize_fit.h"

namespace ingot {
namespace {

constexpr int8_t kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};  // GGUF's non-linear 4 bits

int level(float x, float step, int low, int high) {
  return step == 0 ? std::clamp(0, low, high) : static_cast<int>(std::clamp(std::nearbyint(x / step), static_cast<float>(low), static_cast<float>(high)));
}

// What an error in each element costs. Without importance large values count more: they carry most of a product.
void weigh(const float* x, const float* importance, int n, bool by_square, float* weights) {
  double square = 0;
  for (int i = 0; i < n; ++i) square += static_cast<double>(x[i]) * x[i];
  const auto mean = static_cast<float>(square / n);
  for (int i = 0; i < n; ++i) {
    if (importance) weights[i] = importance[i] * std::sqrt(mean + x[i] * x[i]);
    else weights[i] = by_square ? x[i] * x[i] : std::sqrt(mean) + std::fabs(x[i]);
  }
}

// Scales and minima of `parts` parts rounded to levels of two shared halves, then each element's level.
struct Affine256 {
  uint8_t scale[16], minimum[16], levels[256];
};
void fit_affine_parts(const float* x, const float* importance, int parts, int high, int scale_high, uint8_t* halves, Affine256& out) {
  const int n = 256 / parts;
  float weights[256], scale[16], depth[16];
  weigh(x, importance, 256, false, weights);
  for (int j = 0; j < parts; ++j) {
    const AffineFit fit = fit_affine(x + j * n, weights + j * n, n, high, true, out.levels + j * n);
    scale[j] = fit.scale, depth[j] = -fit.minimum;
  }
  put_half(halves, *std::max_element(scale, scale + parts) / static_cast<float>(scale_high));
  put_half(halves + 2, *std::max_element(depth, depth + parts) / static_cast<float>(scale_high));
  const float d = get_half(halves), dmin = get_half(halves + 2);
  for (int j = 0; j < parts; ++j) {
    out.scale[j] = static_cast<uint8_t>(level(scale[j], d, 0, scale_high));
    out.minimum[j] = static_cast<uint8_t>(level(depth[j], dmin, 0, scale_high));
    const float step = d * out.scale[j], offset = dmin * out.minimum[j];
    for (int i = j * n; i < (j + 1) * n; ++i) out.levels[i] = static_cast<uint8_t>(level(x[i] + offset, step, 0, high));
  }
}

// Eight scales and minima of six bits in twelve bytes.
void put_six_bits(const Affine256& fit, uint8_t* s) {
  std::memset(s, 0, 12);
  for (int j = 0; j < 8; ++j) {
    const int sc = fit.scale[j], mn = fit.minimum[j];
    if (j < 4) {
      s[j] = static_cast<uint8_t>(s[j] | sc);
      s[j + 4] = static_cast<uint8_t>(s[j + 4] | mn);
    } else {
      s[j + 4] = static_cast<uint8_t>((sc & 15) | ((mn & 15) << 4));
      s[j - 4] = static_cast<uint8_t>(s[j - 4] | ((sc >> 4) << 6));
      s[j] = static_cast<uint8_t>(s[j] | ((mn >> 4) << 6));
    }
  }
}

// Signed scales of parts of 16 rounded to [low, high] of a shared half, which is returned.
float fit_signed_parts(const float* x, const float* importance, int low, int high, int scale_low, int scale_high, uint8_t* half, int* scales, int8_t* levels) {
  float weights[256], scale[16], extreme = 0;
  weigh(x, importance, 256, true, weights);
  for (int j = 0; j < 16; ++j) {
    scale[j] = fit_scale(x + 16 * j, weights + 16 * j, 16, low, high, levels + 16 * j);
    if (std::fabs(scale[j]) > std::fabs(extreme)) extreme = scale[j];
  }
  put_half(half, extreme / static_cast<float>(scale_low));
  const float d = get_half(half);
  for (int j = 0; j < 16; ++j) {
    scales[j] = level(scale[j], d, scale_low, scale_high);
    for (int i = 16 * j; i < 16 * j + 16; ++i) levels[i] = static_cast<int8_t>(level(x[i], d * static_cast<float>(scales[j]), low, high));
  }
  return d;
}

// Two bits of each element, four elements 32 apart in a byte.
void put_two_bits(const uint8_t* levels, uint8_t* to) {
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 32; ++i) {
      const uint8_t* l = levels + 128 * half + i;
      to[32 * half + i] = static_cast<uint8_t>((l[0] & 3) | (l[32] & 3) << 2 | (l[64] & 3) << 4 | (l[96] & 3) << 6);
    }
}

}  // namespace

void quantize_q2_k(const float* x, const float* importance, uint8_t* b) {
  Affine256 fit;
  fit_affine_parts(x, importance, 16, 3, 15, b + 80, fit);
  for (int j = 0; j < 16; ++j) b[j] = static_cast<uint8_t>(fit.scale[j] | fit.minimum[j] << 4);
  put_two_bits(fit.levels, b + 16);
}

void quantize_q3_k(const float* x, const float* importance, uint8_t* b) {
  int scales[16];
  int8_t levels[256];
  uint8_t low[256];
  std::memset(b, 0, 110);
  fit_signed_parts(x, importance, -4, 3, -32, 31, b + 108, scales, levels);
  for (int i = 0; i < 256; ++i) {
    const int q = levels[i] + 4;
    low[i] = static_cast<uint8_t>(q & 3);
    if (q > 3) b[i % 32] = static_cast<uint8_t>(b[i % 32] | 1 << (i / 32));
  }
  put_two_bits(low, b + 32);
  for (int j = 0; j < 16; ++j) {
    const int s = scales[j] + 32;
    uint8_t &nibbles = b[96 + j % 8], &top = b[104 + j % 4];
    nibbles = static_cast<uint8_t>(nibbles | (s & 15) << (j < 8 ? 0 : 4));
    top = static_cast<uint8_t>(top | (s >> 4) << (2 * (j / 4)));
  }
}

void quantize_q4_k(const float* x, const float* importance, uint8_t* b) {
  Affine256 fit;
  fit_affine_parts(x, importance, 8, 15, 63, b, fit);
  put_six_bits(fit, b + 4);
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i)
      b[16 + 32 * pair + i] = static_cast<uint8_t>(fit.levels[64 * pair + i] | fit.levels[64 * pair + 32 + i] << 4);
}

void quantize_q5_k(const float* x, const float* importance, uint8_t* b) {
  Affine256 fit;
  fit_affine_parts(x, importance, 8, 31, 63, b, fit);
  put_six_bits(fit, b + 4);
  std::memset(b + 16, 0, 32);
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i) {
      const int one = fit.levels[64 * pair + i], two = fit.levels[64 * pair + 32 + i];
      b[16 + i] = static_cast<uint8_t>(b[16 + i] | (one >> 4) << (2 * pair) | (two >> 4) << (2 * pair + 1));
      b[48 + 32 * pair + i] = static_cast<uint8_t>((one & 15) | (two & 15) << 4);
    }
}

void quantize_q6_k(const float* x, const float* importance, uint8_t* b) {
  int scales[16];
  int8_t levels[256];
  std::memset(b, 0, 208);
  fit_signed_parts(x, importance, -32, 31, -128, 127, b + 208, scales, levels);
  for (int j = 0; j < 16; ++j) {
    b[192 + j] = static_cast<uint8_t>(static_cast<int8_t>(scales[j]));
    const int half = j / 8, quarter = j % 8 / 2;
    for (int i = 0; i < 16; ++i) {
      const int q = levels[16 * j + i] + 32, at = j % 2 * 16 + i;
      uint8_t &low = b[half * 64 + quarter % 2 * 32 + at], &high = b[128 + half * 32 + at];
      low = static_cast<uint8_t>(low | ((q & 15) << (quarter / 2 * 4)));
      high = static_cast<uint8_t>(high | ((q >> 4) << (2 * quarter)));
    }
  }
}

void quantize_iq4_nl(const float* x, const float* importance, uint8_t* b) {
  float weights[32];
  uint8_t index[32];
  weigh(x, importance, 32, true, weights);
  put_half(b, fit_table(x, weights, 32, kTable, index));
  const float d = get_half(b);
  for (int i = 0; i < 32; ++i) index[i] = static_cast<uint8_t>(nearest_in_table(d != 0 ? x[i] / d : 0, kTable));
  for (int i = 0; i < 16; ++i) b[2 + i] = static_cast<uint8_t>(index[i] | index[i + 16] << 4);
}

void quantize_iq4_xs(const float* x, const float* importance, uint8_t* b) {
  float weights[256], scale[8], extreme = 0;
  uint8_t index[32];
  weigh(x, importance, 256, true, weights);
  for (int j = 0; j < 8; ++j) {
    scale[j] = fit_table(x + 32 * j, weights + 32 * j, 32, kTable, index);
    if (std::fabs(scale[j]) > std::fabs(extreme)) extreme = scale[j];
  }
  std::memset(b, 0, 8);
  put_half(b, extreme / -32.0f);
  const float d = get_half(b);
  unsigned high = 0;
  for (int j = 0; j < 8; ++j) {
    const int s = level(scale[j], d, -32, 31);
    high |= static_cast<unsigned>((s + 32) >> 4) << (2 * j);
    b[4 + j / 2] = static_cast<uint8_t>(b[4 + j / 2] | ((s + 32) & 15) << (j % 2 * 4));
    const float step = d * static_cast<float>(s);
    for (int i = 0; i < 32; ++i) index[i] = static_cast<uint8_t>(nearest_in_table(step != 0 ? x[32 * j + i] / step : 0, kTable));
    for (int i = 0; i < 16; ++i) b[8 + 16 * j + i] = static_cast<uint8_t>(index[i] | index[i + 16] << 4);
  }
  b[2] = static_cast<uint8_t>(high & 255);
  b[3] = static_cast<uint8_t>(high >> 8);
}

}  // namespace ingot
