#include "foundry/triage/fusion.h"

#include <algorithm>
#include <cmath>

namespace ingot {
namespace {

constexpr int kSteps = 25;
constexpr double kRidge = 1e-3;  // per case; keeps a signal that says nothing near zero

// Solves A x = b in place for a small symmetric positive definite A by Cholesky.
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

double log_likelihood(std::span<const FusionCase> cases, std::span<const float> weights, double ridge) {
  double sum = 0;
  for (const FusionCase& one : cases) {
    if (one.right >= 0) sum += std::log(std::max(fused(one.features, weights)[one.right], 1e-30f));
  }
  for (float w : weights) sum -= 0.5 * ridge * w * w;
  return sum;
}

}  // namespace

std::vector<float> fused(std::span<const float> features, std::span<const float> weights) {
  const size_t signals = weights.size(), candidates = signals ? features.size() / signals : 0;
  std::vector<float> p(candidates);
  float highest = -1e30f;
  for (size_t c = 0; c < candidates; ++c) {
    float sum = 0;
    for (size_t s = 0; s < signals; ++s) sum += features[c * signals + s] * weights[s];
    p[c] = sum;
    highest = std::max(highest, sum);
  }
  double total = 0;
  for (float& value : p) total += value = std::exp(value - highest);
  for (float& value : p) value = static_cast<float>(value / total);
  return p;
}

std::vector<float> fit_fusion(std::span<const FusionCase> cases, size_t signals, const std::vector<bool>& used) {
  std::vector<float> weights(signals, 0.f);
  size_t usable = 0;
  for (const FusionCase& one : cases) usable += one.right >= 0;
  if (usable == 0) {
    for (size_t s = 0; s < signals; ++s) weights[s] = used[s] ? 1.f : 0.f;
    return weights;
  }
  const double ridge = kRidge * static_cast<double>(usable) + 0.1;
  double best = log_likelihood(cases, weights, ridge);
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> gradient(signals, 0), hessian(signals * signals, 0), mean(signals), second(signals * signals);
    for (const FusionCase& one : cases) {
      if (one.right < 0) continue;
      const std::vector<float> p = fused(one.features, weights);
      std::fill(mean.begin(), mean.end(), 0);
      std::fill(second.begin(), second.end(), 0);
      for (size_t c = 0; c < p.size(); ++c) {
        if (p[c] < 1e-7f) continue;
        const float* x = one.features.data() + c * signals;
        for (size_t i = 0; i < signals; ++i) {
          mean[i] += double(p[c]) * x[i];
          for (size_t j = 0; j <= i; ++j) second[i * signals + j] += double(p[c]) * x[i] * x[j];
        }
      }
      const float* right = one.features.data() + one.right * signals;
      for (size_t i = 0; i < signals; ++i) {
        gradient[i] += right[i] - mean[i];
        for (size_t j = 0; j <= i; ++j) hessian[i * signals + j] += second[i * signals + j] - mean[i] * mean[j];
      }
    }
    for (size_t i = 0; i < signals; ++i) {
      gradient[i] -= ridge * weights[i];
      hessian[i * signals + i] += ridge;
      for (size_t j = 0; j <= i; ++j) {
        if (!used[i] || !used[j]) hessian[i * signals + j] = i == j ? 1 : 0;
        hessian[j * signals + i] = hessian[i * signals + j];
      }
      if (!used[i]) gradient[i] = 0;
    }
    const std::vector<double> direction = solve(hessian, gradient);
    double length = 1, reached = best;
    std::vector<float> next(signals);
    for (int halving = 0; halving < 12; ++halving, length /= 2) {
      for (size_t i = 0; i < signals; ++i) next[i] = static_cast<float>(weights[i] + length * direction[i]);
      reached = log_likelihood(cases, next, ridge);
      if (reached > best) break;
    }
    if (reached <= best + 1e-6 * std::abs(best)) break;
    best = reached;
    weights = next;
  }
  return weights;
}

}  // namespace ingot
