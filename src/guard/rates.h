// A share with its Wilson interval (1927), 95 %.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ingot {

struct Rate {
  uint64_t hits = 0, total = 0;
  double share() const { return total ? static_cast<double>(hits) / static_cast<double>(total) : 0; }
  double low(double z = 1.96) const { return total ? bound(-z) : 0; }
  double high(double z = 1.96) const { return total ? bound(z) : 1; }

 private:
  double bound(double z) const {
    const double n = static_cast<double>(total), p = share(), z2 = z * z;
    return std::clamp((p + z2 / (2 * n) + z * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n), 0.0, 1.0);
  }
};

}  // namespace ingot
