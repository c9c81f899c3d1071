#include "foundry/triage/linear_classifier.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace ingot {
namespace {

constexpr size_t kRows = 400, kFeatures = 37;
constexpr int kClasses = 5;

struct Data {
  std::vector<SparseRow> rows;
  std::vector<int> labels;
};

// Rows of full width around a centre of their class.
Data full_rows() {
  Random random(7);
  const auto number = [&] { return static_cast<float>(random.uniform()) * 2 - 1; };
  std::vector<std::vector<float>> centres(kClasses, std::vector<float>(kFeatures));
  for (auto& centre : centres)
    for (float& value : centre) value = number();
  Data data;
  for (size_t i = 0; i < kRows; ++i) {
    data.labels.push_back(static_cast<int>(i % kClasses));
    SparseRow row;
    for (uint32_t f = 0; f < kFeatures; ++f) {
      row.ids.push_back(f);
      row.values.push_back(0.3f * centres[data.labels[i]][f] + 0.4f * number());
    }
    data.rows.push_back(row);
  }
  return data;
}

std::vector<float> margins(const LinearClassifier& model, const SparseRow& row) {
  std::vector<float> result(kClasses, 0.f);
  model.score(row, result);
  return result;
}

// Rows that have every feature are solved by other loops; one more feature that no row has sends the same rows the general way.
TEST(LinearClassifier, FullRowsAndSparseOnesHaveTheSameSolution) {
  const Data data = full_rows();
  const auto full = LinearClassifier::train(data.rows, data.labels, kClasses, kFeatures, 1.0f, 1);
  const auto general = LinearClassifier::train(data.rows, data.labels, kClasses, kFeatures + 1, 1.0f, 1);
  size_t right = 0;
  for (size_t i = 0; i < kRows; ++i) {
    const auto a = margins(full, data.rows[i]), b = margins(general, data.rows[i]);
    for (int c = 0; c < kClasses; ++c) EXPECT_NEAR(a[c], b[c], 0.05f) << "row " << i;
    right += std::max_element(a.begin(), a.end()) - a.begin() == data.labels[i];
  }
  EXPECT_GT(right, kRows * 9 / 10);
}

// The squared hinge loss with its ridge is lowest where its gradient is zero.
TEST(LinearClassifier, FullRowsReachTheOptimum) {
  const Data data = full_rows();
  const float cost = 0.5f;
  const auto model = LinearClassifier::train(data.rows, data.labels, kClasses, kFeatures, cost, 1);
  for (int c = 0; c < kClasses; ++c) {
    std::vector<double> gradient(kFeatures), pull(kFeatures);
    for (uint32_t f = 0; f < kFeatures; ++f) gradient[f] = model.weight(f, c);
    for (size_t i = 0; i < kRows; ++i) {
      const double y = data.labels[i] == c ? 1 : -1, short_by = std::max(1 - y * margins(model, data.rows[i])[c], 0.0);
      for (uint32_t f = 0; f < kFeatures; ++f) {
        gradient[f] -= 2 * cost * y * short_by * data.rows[i].values[f];
        pull[f] += 2 * cost * short_by * std::abs(data.rows[i].values[f]);
      }
    }
    // Forces of both classes cancel but for the tolerance of the solver and the 8 bits of a weight.
    for (uint32_t f = 0; f < kFeatures; ++f) EXPECT_LT(std::abs(gradient[f]), 0.05 * pull[f]) << "class " << c << ", feature " << f;
  }
}

}  // namespace
}  // namespace ingot
