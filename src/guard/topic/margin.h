// A linear margin between two sets: L2-regularised squared hinge loss by dual coordinate descent (Hsieh et al., ICML 2008),
// each set weighing the same whatever its size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guard/topic/hashed_features.h"

namespace ingot {

struct Margin {
  std::vector<float> weights;
  float bias = 0;
};

// chosen: which rows take part; own[i]: row i belongs to the wanted set. cost: the C of the hinge term.
Margin fit_margin(std::span<const HashedRow> rows, std::span<const uint32_t> chosen, std::span<const uint8_t> own, double cost, uint64_t seed);
// The same over dense rows (rows, width).
Margin fit_margin(std::span<const float> rows, size_t width, std::span<const uint32_t> chosen, std::span<const uint8_t> own, double cost, uint64_t seed);

float margin_of(const Margin& margin, const HashedRow& row);
float margin_of(const Margin& margin, std::span<const float> row);

// Sum of products; the order of summing depends on the length alone.
float dot(const float* a, const float* b, size_t n);

// Logistic regression with an L2 penalty by Newton's method; each class weighs the same. rows (n, width), small width.
// Returns width weights and the bias last.
std::vector<double> fit_logistic(std::span<const float> rows, size_t width, std::span<const uint8_t> own, double penalty);

}  // namespace ingot
