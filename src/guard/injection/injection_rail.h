// Does a text try to give orders to the model that reads it? A small linear model over hashed n-grams and sentence vectors,
// sentence by sentence, on every reading of the text. Trained on recipes/injection by `ingot guard learn-injection`.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/blob.h"
#include "guard/topic/background.h"
#include "guard/topic/margin.h"
#include "models/text_encoder.h"

namespace ingot {

class InjectionRail {
 public:
  struct Options {
    double false_alarms = 0.01;  // share of held-out ordinary texts above the threshold
    uint64_t seed = 1;
    std::shared_ptr<const TextEncoder> encoder;  // may be null: n-grams alone
  };
  // attacks: their families are the subjects. ordinary: groups of texts of one sort; a fifth of each is not learnt from but sets
  // the threshold, every group weighing the same.
  static InjectionRail train(const Background& attacks, std::span<const std::vector<std::string>> ordinary, const Options& options);

  struct Finding {
    double score = 0;      // 0 to 1
    std::string passage;   // the sentence that scored highest, as read
    std::string disguise;  // how it was hidden; empty: it was not
  };
  // Thread-safe; linear in the text. Throws Error (environment) when the encoder that it was trained with is missing.
  Finding look(std::string_view text) const;
  double threshold() const { return threshold_; }
  const std::string& fingerprint() const { return fingerprint_; }  // of the encoder; empty: it needs none
  const std::shared_ptr<const TextEncoder>& encoder() const { return encoder_; }

  void save(BlobWriter& out) const;
  static InjectionRail load(BlobReader& in, std::span<const std::shared_ptr<const TextEncoder>> encoders);
  // models/injection.bin of this installation with the embedded word vectors. Throws Error (environment) when it is not there.
  static std::shared_ptr<const InjectionRail> shipped();

 private:
  double log_odds(const std::string& sentence) const;

  Margin words_;  // on an 8-bit grid of steps word_scale_
  float word_scale_ = 0;
  Margin vector_;  // empty weights: no encoder
  std::vector<double> weights_;  // of the two margins, the bias last
  double threshold_ = 0.5;
  std::string fingerprint_;
  std::shared_ptr<const TextEncoder> encoder_;
};

// The sentences of a reading that are judged: each alone, and each with the one behind it where both are short.
std::vector<std::string> judged_passages(std::string_view reading);

}  // namespace ingot
