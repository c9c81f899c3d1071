// Is a text about what the AI is for? Learnt from the AI's own texts against everything else at hand: linear margins and
// nearest neighbours over hashed n-grams and sentence vectors, weighed by cross-validation, as one calibrated probability.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/blob.h"
#include "guard/topic/background.h"
#include "guard/topic/margin.h"
#include "models/text_encoder.h"

namespace ingot {

struct TopicOptions {
  double keep = 0.97;       // share of own text that must pass, held at the lower 95 % bound on cross-validated text
  // 0, or: the threshold sinks below what `keep` asks for as long as this share of the background is still stopped, for AIs
  // whose questions come in other words than the texts that they have learnt from.
  double stop = 0;
  uint64_t seed = 1;
  size_t most_own = 2500;   // own texts beyond are drawn from at random
  std::vector<std::shared_ptr<const TextEncoder>> encoders;  // may be empty: n-grams alone
};

class TopicRail {
 public:
  static constexpr size_t kFewest = 40;  // own texts
  static constexpr size_t kLongestEncoded = 2048;  // bytes of a text that a sentence encoder reads; the words are read to the end

  // own: what the AI is asked; equal texts count once. Throws Error (input) with how many more texts are needed.
  static TopicRail train(std::span<const std::string> own, const Background& background, const TopicOptions& options);

  // Log-odds that the text is on topic, minus the threshold's: what is not negative passes. Thread-safe.
  double excess(const std::string& text) const;
  // The same as a probability at even odds; passes at threshold() and above.
  double score(const std::string& text) const;
  double score_of(double excess) const;
  double threshold() const { return score_of(0); }

  // Vectors of one text in every space, so that several rails need each encoder only once; empty texts give zeros.
  struct Evidence {
    HashedRow row;
    std::vector<std::vector<float>> vectors;  // (spaces)(width)
  };
  Evidence evidence(const std::string& text) const;
  // vectors: by fingerprint, what earlier rails have already had encoded for the same text; added to.
  Evidence evidence(const std::string& text, std::map<std::string, std::vector<float>>& vectors) const;
  double excess(const Evidence& evidence) const;
  size_t spaces() const { return spaces_.size(); }
  std::string fingerprint(size_t space) const { return spaces_[space].fingerprint; }
  const std::shared_ptr<const TextEncoder>& encoder(size_t space) const { return spaces_[space].encoder; }
  size_t width(size_t space) const { return spaces_[space].width; }
  std::vector<float> own_vectors(size_t space) const;  // (own texts, width)

  // Hashed places of some own texts (at most kMostRows texts of kMostPlaces places), so that a router can tell AIs apart.
  static constexpr size_t kMostRows = 1000, kMostPlaces = 300;
  const std::vector<HashedRow>& own_rows() const { return own_rows_; }

  // Background subjects that the AI's own texts lie so near to that they are taken for its own.
  const std::vector<std::string>& own_subjects() const { return own_subjects_; }
  size_t own_texts() const { return own_texts_; }

  void save(BlobWriter& out) const;
  // encoders: by fingerprint. Throws Error (environment) when one is missing: the rail cannot run then.
  static TopicRail load(BlobReader& in, std::span<const std::shared_ptr<const TextEncoder>> encoders);

 private:
  struct Space {
    std::shared_ptr<const TextEncoder> encoder;
    std::string fingerprint;
    size_t width = 0;
    Margin margin;
    std::vector<int8_t> own, other;  // (texts, width), steps of the 8-bit grid
  };
  void judge(const HashedRow& row, std::span<const std::vector<float>> vectors, float* features) const;
  size_t signals() const { return 1 + 4 * spaces_.size(); }

  Margin words_;           // on an 8-bit grid of steps word_scale_
  float word_scale_ = 0;
  std::vector<Space> spaces_;
  std::vector<float> centre_, spread_;  // (signals) of the cross-validated features
  std::vector<double> weights_;         // (signals + 1), the bias last
  double threshold_ = 0;                // log-odds
  std::vector<HashedRow> own_rows_;
  std::vector<std::string> own_subjects_;
  size_t own_texts_ = 0;
};

}  // namespace ingot
