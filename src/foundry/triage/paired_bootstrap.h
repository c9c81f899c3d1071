// Did one of two systems, asked the same questions, do better? The mean difference with its 95 % bootstrap interval.
#pragma once

#include <cstdint>
#include <vector>

namespace ingot {

struct PairedDifference {
  double mean = 0, low = 0, high = 0;
};
// what both earned on the same cases (1 for a hit), 1,000 resamples; equal sizes.
PairedDifference paired_bootstrap(const std::vector<double>& with, const std::vector<double>& without, uint64_t seed);

}  // namespace ingot
