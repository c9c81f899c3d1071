#include "foundry/triage/linear_classifier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/random.h"
#include "core/threads.h"
#include "kernels/cpu/row_kernels.h"

namespace ingot {
namespace {

constexpr int kEpochs = 40;
constexpr float kTolerance = 0.1f;  // of the projected gradient; LIBLINEAR's default

// The rows one after another in memory: every class goes over all of them, many times.
class SparseRows {
 public:
  explicit SparseRows(std::span<const SparseRow> rows) : starts_(1, 0) {
    for (const SparseRow& row : rows) {
      for (size_t k = 0; k < row.ids.size(); ++k) terms_.push_back({row.ids[k], row.values[k]});
      starts_.push_back(terms_.size());
    }
  }
  float dot(size_t row, const float* w) const {
    float sum = 0;
    for (size_t k = starts_[row]; k < starts_[row + 1]; ++k) sum += w[terms_[k].id] * terms_[k].value;
    return sum;
  }
  void add(size_t row, float scale, float* w) const {
    for (size_t k = starts_[row]; k < starts_[row + 1]; ++k) w[terms_[k].id] += scale * terms_[k].value;
  }

 private:
  struct Term {
    uint32_t id;
    float value;
  };
  std::vector<Term> terms_;
  std::vector<size_t> starts_;
};

// Every row has every feature.
class DenseRows {
 public:
  DenseRows(std::span<const SparseRow> rows, size_t features) : features_(static_cast<int64_t>(features)) {
    for (const SparseRow& row : rows) values_.insert(values_.end(), row.values.begin(), row.values.end());
  }
  float dot(size_t row, const float* w) const { return kernels_.dot(values_.data() + row * features_, w, features_); }
  void add(size_t row, float scale, float* w) const { kernels_.add_scaled(w, scale, values_.data() + row * features_, features_); }

 private:
  std::vector<float> values_;
  int64_t features_;
  const cpu::RowKernels& kernels_ = cpu::row_kernels();
};

// Solves one class against the rest; w has features + 1 places, the last is the bias (a feature that is always one).
template <class Rows>
void solve(const Rows& rows, std::span<const float> squared, std::span<const float> diagonals, std::span<const int> labels, int cls,
           uint64_t seed, std::vector<float>& w) {
  const size_t n = labels.size(), bias = w.size() - 1;
  std::vector<float> alpha(n, 0.f);
  std::vector<uint32_t> active(n);
  std::iota(active.begin(), active.end(), 0u);
  size_t left = n;
  float highest = std::numeric_limits<float>::infinity();
  Random random(seed * 1000003 + cls);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    float most = -std::numeric_limits<float>::infinity(), least = std::numeric_limits<float>::infinity();
    for (size_t i = 0; i + 1 < left; ++i) std::swap(active[i], active[i + random.below(left - i)]);
    for (size_t s = 0; s < left; ++s) {
      const uint32_t i = active[s];
      const float y = labels[i] == cls ? 1.f : -1.f;
      const float gradient = y * (w[bias] + rows.dot(i, w.data())) - 1 + alpha[i] * diagonals[i];
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
      alpha[i] = std::max(before - gradient / (squared[i] + 1 + diagonals[i]), 0.f);
      const float step = (alpha[i] - before) * y;
      rows.add(i, step, w.data());
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

LinearClassifier LinearClassifier::make(int classes, size_t features, const std::function<void(int, std::vector<float>&)>& learn) {
  if (classes > 65536) bad_input("more than 65536 names to choose from", "", "leave out those with few records");
  LinearClassifier model;
  model.classes_ = classes;
  model.scales_.assign(classes, 0);
  model.biases_.assign(classes, 0);
  std::vector<std::vector<std::pair<uint32_t, int8_t>>> columns(classes);
  default_team().parallel_for(classes, 4, [&](size_t begin, size_t end) {
    std::vector<float> w(features + 1);
    for (size_t cls = begin; cls < end; ++cls) {
      std::fill(w.begin(), w.end(), 0.f);
      learn(static_cast<int>(cls), w);
      float largest = 0;
      for (size_t f = 0; f < features; ++f) largest = std::max(largest, std::abs(w[f]));
      model.biases_[cls] = w[features];
      model.scales_[cls] = largest / 127;
      // Stored in 8 bits from here on, so that the answers before packing and after are the same.
      for (size_t f = 0; f < features && largest > 0; ++f) {
        if (const auto weight = static_cast<int8_t>(std::lround(w[f] / largest * 127))) columns[cls].emplace_back(static_cast<uint32_t>(f), weight);
      }
    }
  });
  model.starts_.assign(features + 1, 0);
  for (const auto& column : columns) {
    for (const auto& [feature, weight] : column) ++model.starts_[feature + 1];
  }
  for (size_t f = 0; f < features; ++f) model.starts_[f + 1] += model.starts_[f];
  model.owners_.resize(model.starts_[features]);
  model.weights_.resize(model.starts_[features]);
  std::vector<uint32_t> at(model.starts_.begin(), model.starts_.end() - 1);
  for (int cls = 0; cls < classes; ++cls) {
    for (const auto& [feature, weight] : columns[cls]) {
      model.owners_[at[feature]] = static_cast<uint16_t>(cls);
      model.weights_[at[feature]++] = weight;
    }
  }
  return model;
}

LinearClassifier LinearClassifier::train(std::span<const SparseRow> rows, std::span<const int> labels, int classes, size_t features, float cost,
                                         uint64_t seed, std::span<const float> importance) {
  std::vector<float> squared(rows.size()), diagonals(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    diagonals[i] = 0.5f / (cost * (importance.empty() ? 1.f : std::max(importance[i], 1e-3f)));
    for (float value : rows[i].values) squared[i] += value * value;
  }
  const auto solved = [&](const auto& laid) {
    return make(classes, features, [&](int cls, std::vector<float>& w) { solve(laid, squared, diagonals, labels, cls, seed, w); });
  };
  if (std::all_of(rows.begin(), rows.end(), [&](const SparseRow& row) { return row.ids.size() == features; })) return solved(DenseRows(rows, features));
  return solved(SparseRows(rows));
}

LinearClassifier LinearClassifier::centroids(std::span<const SparseRow> rows, std::span<const int> labels, int classes, size_t features,
                                             std::span<const float> importance) {
  std::vector<std::vector<uint32_t>> members(classes);
  for (uint32_t i = 0; i < rows.size(); ++i) members[labels[i]].push_back(i);
  return make(classes, features, [&](int cls, std::vector<float>& w) {
    for (uint32_t i : members[cls]) {
      const float weight = importance.empty() ? 1.f : importance[i];
      for (size_t k = 0; k < rows[i].ids.size(); ++k) w[rows[i].ids[k]] += weight * rows[i].values[k];
    }
    double norm = 0;
    for (float value : w) norm += double(value) * value;
    const auto scale = static_cast<float>(norm > 0 ? 1 / std::sqrt(norm) : 0);
    for (float& value : w) value *= scale;
  });
}

void LinearClassifier::score(const SparseRow& row, std::span<float> margins) const {
  std::vector<float> sums(classes_, 0.f);
  for (size_t k = 0; k < row.ids.size(); ++k) {
    const uint32_t feature = row.ids[k];
    for (uint32_t i = starts_[feature]; i < starts_[feature + 1]; ++i) sums[owners_[i]] += row.values[k] * weights_[i];
  }
  for (int c = 0; c < classes_; ++c) margins[c] += sums[c] * scales_[c] + biases_[c];
}

float LinearClassifier::weight(uint32_t feature, int cls) const {
  for (uint32_t i = starts_[feature]; i < starts_[feature + 1]; ++i) {
    if (owners_[i] == cls) return weights_[i] * scales_[cls];
  }
  return 0;
}

void LinearClassifier::save(BlobWriter& out) const {
  out.put<int32_t>(classes_);
  out.put(starts_);
  out.put(owners_);
  out.put(weights_);
  out.put(scales_);
  out.put(biases_);
}

LinearClassifier LinearClassifier::load(BlobReader& in) {
  LinearClassifier model;
  model.classes_ = in.get<int32_t>();
  in.require(model.classes_ >= 0 && model.classes_ < (1 << 24));
  model.starts_ = in.vector<uint32_t>();
  model.owners_ = in.vector<uint16_t>();
  model.weights_ = in.vector<int8_t>();
  model.scales_ = in.vector<float>();
  model.biases_ = in.vector<float>();
  const size_t classes = model.classes_;
  in.require(model.scales_.size() == classes && model.biases_.size() == classes && model.owners_.size() == model.weights_.size());
  in.require(model.starts_.empty() ? model.weights_.empty() : model.starts_.front() == 0 && model.starts_.back() == model.weights_.size());
  in.require(std::is_sorted(model.starts_.begin(), model.starts_.end()));
  for (uint16_t owner : model.owners_) in.require(owner < classes);
  return model;
}

}  // namespace ingot
