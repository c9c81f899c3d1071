// Which label a text has: one-vs-rest linear models over n-grams and over each of the encoder's vectors, and the nearest known texts,
// weighed on cross-validated cases, as calibrated probabilities.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foundry/triage/linear_classifier.h"
#include "guard/topic/hashed_features.h"
#include "models/text_encoder.h"

namespace ingot {

struct LabelChance {
  std::string name;
  double p = 0;
};

class TextClassifier {
 public:
  // texts and labels of equal length, at least one label. encoder may be null: n-grams alone. Texts that it was tuned on do not weigh.
  static TextClassifier train(std::span<const std::string> texts, std::span<const std::string> labels, std::shared_ptr<const TextEncoder> encoder, uint64_t seed);

  std::vector<LabelChance> classify(const std::string& text) const;  // every label, best first; probabilities sum to one
  const std::vector<std::string>& labels() const { return names_; }  // sorted

  // REQUIRES: the same vectors as those of the encoder that it was trained with.
  void set_encoder(std::shared_ptr<const TextEncoder> encoder) { encoder_ = std::move(encoder); }

  std::string save() const;
  // Throws Error (altered), or Error (environment) if the encoder that it was trained with is not the given one.
  static TextClassifier load(std::span<const std::byte> bytes, std::shared_ptr<const TextEncoder> encoder);

 private:
  struct Part {  // one of the vectors that stand side by side in an encoder's row
    size_t from = 0, width = 0;
    LinearClassifier linear, centre;
  };
  size_t signals() const { return 1 + 2 * parts_.size(); }
  void set_parts(std::span<const int> widths);
  SparseRow known(const HashedRow& row) const;
  void learn(std::span<const HashedRow> rows, std::span<const float> vectors, std::span<const int> labels, std::span<const uint32_t> chosen, uint64_t seed);
  std::vector<float> features(const HashedRow& row, std::span<const float> vector) const;  // (labels, signals())

  std::vector<std::string> names_;
  std::vector<uint32_t> places_;   // hashed places that occur in training, ascending; their ranks are the sparse features
  LinearClassifier sparse_;
  std::vector<Part> parts_;
  std::vector<float> weights_;     // (signals())
  size_t width_ = 0;
  std::string fingerprint_;
  std::shared_ptr<const TextEncoder> encoder_;
};

}  // namespace ingot
