// Weighs what several signals say about each candidate: a conditional logit (McFadden, 1974) fitted by Newton's method.
#pragma once

#include <span>
#include <vector>

namespace ingot {

// One case: features (candidates, signals) row-major and the candidate that was right (-1: none of them).
struct FusionCase {
  std::vector<float> features;
  int right = -1;
};

// Weights (signals); those whose `used` is false stay zero. Cases without a right candidate are passed over.
std::vector<float> fit_fusion(std::span<const FusionCase> cases, size_t signals, const std::vector<bool>& used);

// Probabilities (candidates), summing to one.
std::vector<float> fused(std::span<const float> features, std::span<const float> weights);

}  // namespace ingot
