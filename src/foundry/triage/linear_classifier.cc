#include "foundry/triage/linear_classifier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/random.h"
#include "core/threads.h"

namespace ingot {
namespace {

constexpr int kEpochs = 40;
constexpr float kTolerance = 0.1f;  // of the projected gradient; LIBLINEAR's default

// Solves one class against the rest; w has features + 1 places, the last is the bias (a feature that is always one).
void solve(std::span<const SparseRow> rows, std::span<const float> squared, std::span<const int> labels, int cls, float cost, uint64_t seed,
           std::vector<float>& w) {
  const size_t n = rows.size(), bias = w.size() - 1;
  std::fill(w.begin(), w.end(), 0.f);
  std::vector<float> alpha(n, 0.f);
  std::vector<uint32_t> active(n);
  std::iota(active.begin(), active.end(), 0u);
  const float diagonal = 0.5f / cost;
  size_t left = n;
  float highest = std::numeric_limits<float>::infinity();
  Random random(seed * 1000003 + cls);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    float most = -std::numeric_limits<float>::infinity(), least = std::numeric_limits<float>::infinity();
    for (size_t i = 0; i + 1 < left; ++i) std::swap(active[i], active[i + random.below(left - i)]);
    for (size_t s = 0; s < left; ++s) {
      const uint32_t i = active[s];
      const SparseRow& row = rows[i];
      const float y = labels[i] == cls ? 1.f : -1.f;
      float dot = w[bias];
      for (size_t k = 0; k < row.ids.size(); ++k) dot += w[row.ids[k]] * row.values[k];
      const float gradient = y * dot - 1 + alpha[i] * diagonal;
      float projected = gradient;
      if (alpha[i] == 0) {
        if (gradient > highest) {  // shrink: it will stay at zero
          std::swap(active[s--], active[--left]);
          continue;
        }
        projected = std::min(gradient, 0.f);
      }
      most = std::max(most, projected);
      least = std::min(least, projected);
      if (std::abs(projected) < 1e-12f) continue;
      const float before = alpha[i];
      alpha[i] = std::max(before - gradient / (squared[i] + 1 + diagonal), 0.f);
      const float step = (alpha[i] - before) * y;
      for (size_t k = 0; k < row.ids.size(); ++k) w[row.ids[k]] += step * row.values[k];
      w[bias] += step;
    }
    if (most - least <= kTolerance) {
      if (left == n) break;
      left = n;
      highest = std::numeric_limits<float>::infinity();
    } else {
      highest = most <= 0 ? std::numeric_limits<float>::infinity() : most;
    }
  }
}

}  // namespace

LinearClassifier LinearClassifier::train(std::span<const SparseRow> rows, std::span<const int> labels, int classes, size_t features, float cost,
                                         uint64_t seed) {
  LinearClassifier model;
  model.classes_ = classes;
  model.weights_.assign(features * classes, 0);
  model.scales_.assign(classes, 0);
  model.biases_.assign(classes, 0);
  std::vector<float> squared(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (float value : rows[i].values) squared[i] += value * value;
  }
  default_team().parallel_for(classes, 4, [&](size_t begin, size_t end) {
    std::vector<float> w(features + 1);
    for (size_t cls = begin; cls < end; ++cls) {
      solve(rows, squared, labels, static_cast<int>(cls), cost, seed, w);
      float largest = 0;
      for (size_t f = 0; f < features; ++f) largest = std::max(largest, std::abs(w[f]));
      model.biases_[cls] = w[features];
      model.scales_[cls] = largest / 127;
      // Stored in 8 bits from here on, so that the answers before packing and after are the same.
      for (size_t f = 0; f < features && largest > 0; ++f) model.weights_[f * classes + cls] = static_cast<int8_t>(std::lround(w[f] / largest * 127));
    }
  });
  return model;
}

void LinearClassifier::score(const SparseRow& row, std::span<float> margins) const {
  std::vector<float> sums(classes_, 0.f);
  for (size_t k = 0; k < row.ids.size(); ++k) {
    const int8_t* weights = weights_.data() + size_t{row.ids[k]} * classes_;
    for (int c = 0; c < classes_; ++c) sums[c] += row.values[k] * weights[c];
  }
  for (int c = 0; c < classes_; ++c) margins[c] += sums[c] * scales_[c] + biases_[c];
}

void LinearClassifier::save(BlobWriter& out) const {
  out.put<int32_t>(classes_);
  out.put(weights_);
  out.put(scales_);
  out.put(biases_);
}

LinearClassifier LinearClassifier::load(BlobReader& in) {
  LinearClassifier model;
  model.classes_ = in.get<int32_t>();
  in.require(model.classes_ >= 0 && model.classes_ < (1 << 24));
  model.weights_ = in.vector<int8_t>();
  model.scales_ = in.vector<float>();
  model.biases_ = in.vector<float>();
  const size_t classes = model.classes_;
  in.require(model.scales_.size() == classes && model.biases_.size() == classes && (classes == 0 || model.weights_.size() % classes == 0));
  return model;
}

}  // namespace ingot
