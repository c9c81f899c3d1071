#include "foundry/triage/fusion.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/threads.h"

namespace ingot {
namespace {

constexpr int kSteps = 25;
constexpr double kRidge = 1e-3, kPrior = 3;  // per case and once: few cases must not make a signal that says little loud

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

constexpr size_t kChunk = 32;  // cases summed together: the same sums for any number of threads

double log_likelihood(std::span<const FusionCase> cases, std::span<const float> weights, double ridge) {
  std::vector<double> sums((cases.size() + kChunk - 1) / kChunk, 0);
  default_team().parallel_for(sums.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin * kChunk; i < std::min(end * kChunk, cases.size()); ++i) {
      if (cases[i].right >= 0) sums[i / kChunk] += std::log(std::max(fused(cases[i].features, weights)[cases[i].right], 1e-30f));
    }
  });
  double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  for (float w : weights) sum -= 0.5 * ridge * w * w;
  return sum;
}

// Adds one case's gradient and the lower triangle of its negated Hessian to `sums` (signals + signals * signals).
void add_case(const FusionCase& one, std::span<const float> weights, double* sums) {
  const size_t signals = weights.size();
  const std::vector<float> p = fused(one.features, weights);
  std::vector<double> mean(signals, 0);
  for (size_t c = 0; c < p.size(); ++c) {
    if (p[c] < 1e-6f) continue;
    const float* x = one.features.data() + c * signals;
    for (size_t i = 0; i < signals; ++i) {
      const double px = double(p[c]) * x[i];
      mean[i] += px;
      for (size_t j = 0; j <= i; ++j) sums[signals + i * signals + j] += px * x[j];
    }
  }
  const float* right = one.features.data() + one.right * signals;
  for (size_t i = 0; i < signals; ++i) {
    sums[i] += right[i] - mean[i];
    for (size_t j = 0; j <= i; ++j) sums[signals + i * signals + j] -= mean[i] * mean[j];
  }
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
  const double ridge = kRidge * static_cast<double>(usable) + kPrior;
  double best = log_likelihood(cases, weights, ridge);
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> gradient(signals, 0), hessian(signals * signals, 0);
    const size_t width = signals + signals * signals;
    std::vector<double> parts((cases.size() + kChunk - 1) / kChunk * width, 0);
    default_team().parallel_for(parts.size() / width, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin * kChunk; i < std::min(end * kChunk, cases.size()); ++i) {
        if (cases[i].right >= 0) add_case(cases[i], weights, parts.data() + i / kChunk * width);
      }
    });
    for (size_t part = 0; part < parts.size(); part += width) {
      for (size_t i = 0; i < signals; ++i) gradient[i] += parts[part + i];
      for (size_t i = 0; i < signals * signals; ++i) hessian[i] += parts[part + signals + i];
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
