#include "kernels/quantize_fit.h"

#include <algorithm>
#include <cmath>

namespace ingot {
namespace {

int rounded(float x, int low, int high) { return static_cast<int>(std::clamp(std::nearbyint(x), static_cast<float>(low), static_cast<float>(high))); }

float extreme_of(const float* x, int n) {
  float extreme = 0;
  for (int i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  return extreme;
}

// How well levels l explain x: the best scale for them and what it gains over leaving everything at zero.
struct Explained {
  float product = 0, square = 0;
  void add(float w, float x, float level) {
    product += w * x * level;
    square += w * level * level;
  }
  float gain() const { return square > 0 ? product * product / square : 0; }
  float scale() const { return square > 0 ? product / square : 0; }
};

}  // namespace

float fit_scale(const float* x, const float* weights, int n, int low, int high, int8_t* levels) {
  const float extreme = extreme_of(x, n);
  std::fill(levels, levels + n, int8_t{0});
  if (std::fabs(extreme) < 1e-30f) return 0;
  float best = -1, scale = 0;
  int8_t found[kMostFitted];
  // The extreme becomes the lowest level, or up to a level more or less than that.
  for (int step = -9; step <= 9; ++step) {
    const float inverse = (static_cast<float>(low) + 0.1f * static_cast<float>(step)) / extreme;
    Explained sum;
    for (int i = 0; i < n; ++i) {
      found[i] = static_cast<int8_t>(rounded(x[i] * inverse, low, high));
      sum.add(weights[i], x[i], found[i]);
    }
    if (sum.gain() > best) {
      best = sum.gain();
      scale = sum.square > 0 ? sum.scale() : extreme / static_cast<float>(low);
      std::copy(found, found + n, levels);
    }
  }
  return scale;
}

AffineFit fit_affine(const float* x, const float* weights, int n, int high, bool below, uint8_t* levels) {
  auto [least, most] = std::minmax_element(x, x + n);
  float low = *least, top = *most;
  if (below) low = std::min(low, 0.0f);
  std::fill(levels, levels + n, uint8_t{0});
  if (!(top > low)) return {0, low};
  AffineFit best;
  float best_error = INFINITY;
  uint8_t found[kMostFitted];
  for (int step = -10; step <= 20; ++step) {
    const float inverse = (static_cast<float>(high) + 0.1f * static_cast<float>(step)) / (top - low);
    float w = 0, wq = 0, wqq = 0, wx = 0, wxq = 0;
    for (int i = 0; i < n; ++i) {
      found[i] = static_cast<uint8_t>(rounded((x[i] - low) * inverse, 0, high));
      const float q = found[i], each = weights[i];
      w += each, wq += each * q, wqq += each * q * q, wx += each * x[i], wxq += each * x[i] * q;
    }
    const float determinant = w * wqq - wq * wq;
    AffineFit fit{1 / inverse, low};
    if (determinant > 0) fit = {(w * wxq - wx * wq) / determinant, (wqq * wx - wq * wxq) / determinant};
    if (below && fit.minimum > 0) fit = {wqq > 0 ? wxq / wqq : 0, 0};
    if (!(fit.scale > 0)) continue;
    float error = 0;
    for (int i = 0; i < n; ++i) {
      const float off = fit.scale * found[i] + fit.minimum - x[i];
      error += weights[i] * off * off;
    }
    if (error < best_error) {
      best_error = error;
      best = fit;
      std::copy(found, found + n, levels);
    }
  }
  if (best_error == INFINITY) {  // every weight is zero: as if all were one
    best = {(top - low) / static_cast<float>(high), low};
    for (int i = 0; i < n; ++i) levels[i] = static_cast<uint8_t>(rounded((x[i] - low) / best.scale, 0, high));
  }
  return best;
}

int nearest_in_table(float value, const int8_t* table) {
  int index = 0;
  while (index < 15 && value > 0.5f * static_cast<float>(table[index] + table[index + 1])) ++index;
  return index;
}

float fit_table(const float* x, const float* weights, int n, const int8_t* table, uint8_t* indices) {
  const float extreme = extreme_of(x, n);
  std::fill(indices, indices + n, static_cast<uint8_t>(nearest_in_table(0, table)));
  if (std::fabs(extreme) < 1e-30f) return 0;
  float best = -1, scale = 0;
  uint8_t found[kMostFitted];
  for (int step = -7; step <= 7; ++step)
    for (const int end : {table[0], table[15]}) {  // the extreme at either end
      const float inverse = static_cast<float>(end + step) / extreme;
      Explained sum;
      for (int i = 0; i < n; ++i) {
        found[i] = static_cast<uint8_t>(nearest_in_table(x[i] * inverse, table));
        sum.add(weights[i], x[i], table[found[i]]);
      }
      if (sum.gain() > best) {
        best = sum.gain();
        scale = sum.square > 0 ? sum.scale() : extreme / static_cast<float>(end);
        std::copy(found, found + n, indices);
      }
    }
  return scale;
}

}  // namespace ingot
