#include "guard/topic/margin.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/random.h"

namespace ingot {
namespace {

constexpr int kEpochs = 60;
constexpr float kTolerance = 0.05f;  // of the largest change of a dual variable's gradient in an epoch

struct Sparse {
  std::span<const HashedRow> rows;
  float times(uint32_t i, const std::vector<float>& w) const {
    float sum = 0;
    const HashedRow& row = rows[i];
    for (size_t k = 0; k < row.ids.size(); ++k) sum += w[row.ids[k]] * row.values[k];
    return sum;
  }
  void add(uint32_t i, float step, std::vector<float>& w) const {
    const HashedRow& row = rows[i];
    for (size_t k = 0; k < row.ids.size(); ++k) w[row.ids[k]] += step * row.values[k];
  }
  float squared(uint32_t i) const {
    float sum = 0;
    for (float value : rows[i].values) sum += value * value;
    return sum;
  }
};

struct Dense {
  const float* rows;
  size_t width;
  float times(uint32_t i, const std::vector<float>& w) const { return dot(rows + i * width, w.data(), width); }
  void add(uint32_t i, float step, std::vector<float>& w) const {
    const float* row = rows + i * width;
    for (size_t k = 0; k < width; ++k) w[k] += step * row[k];
  }
  float squared(uint32_t i) const { return dot(rows + i * width, rows + i * width, width); }
};

template <typename Rows>
Margin fit(const Rows& rows, size_t width, std::span<const uint32_t> chosen, std::span<const uint8_t> own, double cost, uint64_t seed) {
  const size_t n = chosen.size();
  size_t wanted = 0;
  for (uint32_t i : chosen) wanted += own[i];
  const double balance[2] = {0.5 * n / std::max<size_t>(n - wanted, 1), 0.5 * n / std::max<size_t>(wanted, 1)};
  Margin margin;
  margin.weights.assign(width, 0.f);
  std::vector<float> alpha(n, 0.f), squared(n), diagonal(n);
  for (size_t s = 0; s < n; ++s) {
    squared[s] = rows.squared(chosen[s]);
    diagonal[s] = static_cast<float>(0.5 / (cost * balance[own[chosen[s]]]));
  }
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    random.shuffle(order);
    float largest = 0;
    for (uint32_t s : order) {
      const uint32_t i = chosen[s];
      const float y = own[i] ? 1.f : -1.f;
      const float gradient = y * (rows.times(i, margin.weights) + margin.bias) - 1 + alpha[s] * diagonal[s];
      const float projected = alpha[s] == 0 ? std::min(gradient, 0.f) : gradient;
      largest = std::max(largest, std::abs(projected));
      if (projected == 0) continue;
      const float before = alpha[s];
      alpha[s] = std::max(before - gradient / (squared[s] + 1 + diagonal[s]), 0.f);
      const float step = (alpha[s] - before) * y;
      rows.add(i, step, margin.weights);
      margin.bias += step;
    }
    if (largest < kTolerance) break;
  }
  return margin;
}

}  // namespace

float dot(const float* a, const float* b, size_t n) {
  float sums[16] = {};
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int j = 0; j < 16; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  for (int width = 8; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) sums[j] += sums[j + width];
  }
  return sums[0];
}

Margin fit_margin(std::span<const HashedRow> rows, std::span<const uint32_t> chosen, std::span<const uint8_t> own, double cost, uint64_t seed) {
  return fit(Sparse{rows}, kHashedPlaces, chosen, own, cost, seed);
}

Margin fit_margin(std::span<const float> rows, size_t width, std::span<const uint32_t> chosen, std::span<const uint8_t> own, double cost, uint64_t seed) {
  return fit(Dense{rows.data(), width}, width, chosen, own, cost, seed);
}

float margin_of(const Margin& margin, const HashedRow& row) {
  float sum = margin.bias;
  for (size_t k = 0; k < row.ids.size(); ++k) sum += margin.weights[row.ids[k]] * row.values[k];
  return sum;
}

float margin_of(const Margin& margin, std::span<const float> row) { return dot(margin.weights.data(), row.data(), row.size()) + margin.bias; }

std::vector<double> fit_logistic(std::span<const float> rows, size_t width, std::span<const uint8_t> own, double penalty) {
  const size_t n = own.size(), d = width + 1;
  const size_t wanted = static_cast<size_t>(std::count(own.begin(), own.end(), 1));
  const double balance[2] = {0.5 * n / std::max<size_t>(n - wanted, 1), 0.5 * n / std::max<size_t>(wanted, 1)};
  std::vector<double> w(d, 0.0), x(d, 1.0);
  for (int step = 0; step < 50; ++step) {
    std::vector<double> gradient(d, 0.0), hessian(d * d, 0.0);
    for (size_t j = 0; j < width; ++j) {
      gradient[j] = penalty * w[j];
      hessian[j * d + j] = penalty;
    }
    hessian[d * d - 1] = 1e-9;
    for (size_t i = 0; i < n; ++i) {
      double z = w[width];
      for (size_t j = 0; j < width; ++j) z += w[j] * (x[j] = rows[i * width + j]);
      const double p = 1 / (1 + std::exp(-z)), weight = balance[own[i]], slope = weight * (p - own[i]), curve = std::max(weight * p * (1 - p), 1e-9);
      for (size_t j = 0; j < d; ++j) {
        gradient[j] += slope * x[j];
        for (size_t k = 0; k <= j; ++k) hessian[j * d + k] += curve * x[j] * x[k];
      }
    }
    // Cholesky; the penalty keeps the matrix positive.
    std::vector<double> l(d * d, 0.0), change(d);
    for (size_t j = 0; j < d; ++j) {
      for (size_t k = 0; k <= j; ++k) {
        double sum = hessian[j * d + k];
        for (size_t m = 0; m < k; ++m) sum -= l[j * d + m] * l[k * d + m];
        l[j * d + k] = j == k ? std::sqrt(std::max(sum, 1e-12)) : sum / l[k * d + k];
      }
    }
    for (size_t j = 0; j < d; ++j) {
      double sum = gradient[j];
      for (size_t m = 0; m < j; ++m) sum -= l[j * d + m] * change[m];
      change[j] = sum / l[j * d + j];
    }
    for (size_t j = d; j-- > 0;) {
      double sum = change[j];
      for (size_t m = j + 1; m < d; ++m) sum -= l[m * d + j] * change[m];
      change[j] = sum / l[j * d + j];
    }
    double largest = 0;
    for (size_t j = 0; j < d; ++j) {
      // A step is bounded, so that separable data cannot throw the weights far away at once.
      const double move = std::clamp(change[j], -2.0, 2.0);
      w[j] -= move;
      largest = std::max(largest, std::abs(move));
    }
    if (largest < 1e-6) break;
  }
  return w;
}

}  // namespace ingot
