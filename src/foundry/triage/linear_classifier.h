// One-vs-rest linear support vector machines over sparse rows, L2-regularised squared hinge loss, dual coordinate descent
// (Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear SVM", ICML 2008).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "foundry/triage/text_features.h"

namespace ingot {

class LinearClassifier {
 public:
  // labels[i] < classes. cost: the C of the hinge term. Same result for any number of threads.
  static LinearClassifier train(std::span<const SparseRow> rows, std::span<const int> labels, int classes, size_t features, float cost,
                                uint64_t seed);

  // margins (classes), added to what is there.
  void score(const SparseRow& row, std::span<float> margins) const;
  float weight(uint32_t feature, int cls) const { return weights_[size_t{feature} * classes_ + cls] * scales_[cls]; }
  int classes() const { return classes_; }
  size_t features() const { return classes_ ? weights_.size() / classes_ : 0; }

  void save(BlobWriter& out) const;
  static LinearClassifier load(BlobReader& in);

 private:
  int classes_ = 0;
  std::vector<int8_t> weights_;  // (features, classes): what one word says about everyone lies together
  std::vector<float> scales_;    // (classes)
  std::vector<float> biases_;    // (classes)
};

}  // namespace ingot
