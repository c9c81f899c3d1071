#include "foundry/triage/paired_bootstrap.h"

#include <algorithm>

#include "core/random.h"

namespace ingot {

PairedDifference paired_bootstrap(const std::vector<double>& with, const std::vector<double>& without, uint64_t seed) {
  PairedDifference result;
  const size_t n = with.size();
  if (n == 0) return result;
  std::vector<double> draws(1000);
  Random random(seed);
  for (double& draw : draws) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) {
      const size_t j = random.below(n);
      sum += with[j] - without[j];
    }
    draw = sum / n;
  }
  std::sort(draws.begin(), draws.end());
  for (size_t i = 0; i < n; ++i) result.mean += (with[i] - without[i]) / n;
  result.low = draws[25];
  result.high = draws[974];
  return result;
}

}  // namespace ingot
