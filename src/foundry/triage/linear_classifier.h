// One-vs-rest linear support vector machines over sparse rows, L2-regularised squared hinge loss, dual coordinate descent
// (Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear SVM", ICML 2008).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "foundry/triage/text_features.h"

namespace ingot {

class LinearClassifier {
 public:
  // labels[i] < classes. cost: the C of the hinge term; importance (rows, or empty for all 1) scales it row by row.
  // Same result for any number of threads.
  static LinearClassifier train(std::span<const SparseRow> rows, std::span<const int> labels, int classes, size_t features, float cost,
                                uint64_t seed, std::span<const float> importance = {});

  // Rocchio's method: each class is the unit-length mean of its rows, a margin is the cosine to it.
  static LinearClassifier centroids(std::span<const SparseRow> rows, std::span<const int> labels, int classes, size_t features,
                                    std::span<const float> importance = {});

  // margins (classes), added to what is there.
  void score(const SparseRow& row, std::span<float> margins) const;
  float weight(uint32_t feature, int cls) const;
  int classes() const { return classes_; }
  size_t features() const { return starts_.empty() ? 0 : starts_.size() - 1; }

  void save(BlobWriter& out) const;
  static LinearClassifier load(BlobReader& in);

 private:
  // learn(class, w): w has features + 1 places, the last is the bias. Called from several threads.
  static LinearClassifier make(int classes, size_t features, const std::function<void(int, std::vector<float>&)>& learn);

  int classes_ = 0;
  std::vector<uint32_t> starts_;   // (features + 1) into the two below: most words say nothing about most classes
  std::vector<uint16_t> owners_;   // class of each weight, ascending within a feature
  std::vector<int8_t> weights_;
  std::vector<float> scales_;      // (classes)
  std::vector<float> biases_;    // (classes)
};

}  // namespace ingot
