// Scales and levels that lose least: candidates around the plain choice, each refined by weighted least squares.
#pragma once

#include <cstdint>

namespace ingot {

inline constexpr int kMostFitted = 32;  // elements that one scale serves

// x ~ scale * level, level in [low, high] with low < 0 <= high. weights are not negative.
float fit_scale(const float* x, const float* weights, int n, int low, int high, int8_t* levels);

struct AffineFit {
  float scale = 0, minimum = 0;  // x ~ scale * level + minimum
};
// level in [0, high]; with `below` the minimum is kept at 0 or less.
AffineFit fit_affine(const float* x, const float* weights, int n, int high, bool below, uint8_t* levels);

// x ~ scale * table[index], table ascending with 16 entries.
float fit_table(const float* x, const float* weights, int n, const int8_t* table, uint8_t* indices);
int nearest_in_table(float value, const int8_t* table);

}  // namespace ingot
