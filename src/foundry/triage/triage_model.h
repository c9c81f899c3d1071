// Who should take a new bug and where it belongs: several signals about every candidate, weighed on held-out later bugs.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foundry/record.h"
#include "foundry/triage/fusion.h"
#include "foundry/triage/linear_classifier.h"
#include "foundry/triage/similar_records.h"
#include "models/text_encoder.h"

namespace ingot {

struct TriageOptions {
  std::shared_ptr<const TextEncoder> encoder;  // null: without the Llama
  bool similar = true, activity = true, ablation = true;
  uint64_t seed = 1;
};

struct Candidate {
  std::string name;
  double p = 0;
};

struct SimilarBug {
  std::string id, engineer, component, text;  // text: its first words
};

struct TriageAnswer {
  std::vector<Candidate> engineers, components;  // best first
  bool abstain = false;                          // the first name is more likely wrong than right
  std::vector<std::string> words;                // those that spoke most for the first engineer
  std::vector<SimilarBug> similar;
};

// What one signal adds on the held-out part of the training data: to top-1 with a 95 % paired-bootstrap interval, and to the
// mean reciprocal rank, which decides (it sees every place in the ranking, so it is less of a lottery on few records).
struct SignalGain {
  std::string signal;
  std::string of;  // "engineer" or "component"
  double gain = 0, low = 0, high = 0, rank_gain = 0;
  bool kept = true;
};

// How many records ago one counts half: an eighth of them all, so that it fits the pace of any tracker.
inline double freshness_half_life(size_t records) { return std::max(static_cast<double>(records) / 8, 300.0); }

class TriageModel {
 public:
  // records: oldest first, each with text and engineer (component may be empty everywhere). At least 50 records and two
  // engineers, else Error (input). The newest third (a sixth of much) is held out once to weigh the signals, then everything learns from all.
  static TriageModel train(std::span<const Record> records, const TriageOptions& options);
  static size_t weighed_on(size_t records);  // how many of the newest are held out for that

  TriageAnswer classify(const std::string& text, size_t most = 10) const;

  // Several texts at once, in candidate order (see engineers(), components()): the fused probabilities, those without the
  // Llama, and the sparse linear model's margins alone.
  struct Scores {
    std::vector<float> engineer, component;                  // fused
    std::vector<float> engineer_plain, component_plain;      // fused without the Llama
    std::vector<float> engineer_sparse, component_sparse;    // margins
  };
  std::vector<Scores> score(std::span<const std::string> texts) const;

  const std::vector<std::string>& engineers() const { return engineer_.names; }
  const std::vector<std::string>& components() const { return component_.names; }
  const std::vector<SignalGain>& gains() const { return gains_; }
  bool uses_llama() const { return llama_; }
  double threshold() const { return threshold_; }
  size_t records() const { return past_.size(); }
  size_t learnt_from(std::span<const Record> records) const;  // how many of them it has in its past, by id and first words
  // What plain look-ups need: how often each engineer acted, and who touched a component last, latest first.
  std::vector<int> engineers_by_count() const;
  std::vector<int> last_touchers(int component) const;
  // How many people share a component's recent work (one over the sum of the squared shares); 0 if it is unknown.
  double people_at(const std::string& component) const;
  std::string most_common_component() const;  // empty if there is none

  // What the encoder says of the texts' beginnings, (texts, width) row after row.
  static std::string beginning(const std::string& text);
  static std::vector<float> read(const TextEncoder& encoder, std::span<const std::string> texts);
  void set_encoder(std::shared_ptr<const TextEncoder> encoder) { encoder_ = std::move(encoder); }
  const std::shared_ptr<const TextEncoder>& encoder() const { return encoder_; }
  std::string encoder_fingerprint() const { return fingerprint_; }

  std::string save() const;
  static TriageModel load(std::span<const std::byte> bytes);

 private:
  // The signals, in the order of the fusion's weights. Components use all but `by_component`.
  enum Signal { kSparse, kFresh, kCentroid, kSimilarShare, kSimilarBest, kSimilarFresh, kRecent, kSeason, kCount, kByComponent, kDense, kSignals };

  struct Head {
    std::vector<std::string> names;
    LinearClassifier sparse, fresh, centroid, dense;  // fresh: as sparse, but old records count less
    std::vector<float> recent, season, count;  // (classes) decayed numbers of records, then logarithms
    std::vector<float> weights, plain_weights; // (signals)
  };
  struct Past {
    int engineer, component;
    int64_t time;
  };

  struct Evidence {
    SparseRow row;
    std::vector<uint32_t> words;
    std::vector<SimilarRecords::Hit> hits;
    SparseRow dense;
  };

  void forget_encoder();
  void learn(std::span<const Record> records, std::span<const std::vector<std::string>> words, std::span<const float> vectors, const TriageOptions& options);
  SparseRow dense_row(std::span<const float> vector) const;
  Evidence evidence(const std::vector<std::string>& words, std::span<const float> vector) const;
  FusionCase features(const Head& head, const Evidence& evidence, bool engineers, std::span<const float> component_p) const;
  Scores score(const Evidence& evidence) const;
  int find(const Head& head, const std::string& name) const;
  std::vector<bool> choose(std::span<const FusionCase> cases, std::vector<bool> used, const char* of, uint64_t seed);
  void weigh(std::span<const Record> later, std::span<const std::vector<std::string>> words, std::span<const float> vectors, const TriageOptions& options);

  Vocabulary vocabulary_;
  SimilarRecords similar_;
  Head engineer_, component_;
  std::vector<Past> past_;
  std::vector<std::string> past_ids_, past_texts_;
  std::vector<float> by_component_;  // (components, engineers) decayed shares
  std::vector<SignalGain> gains_;
  double threshold_ = 0.5, unseen_ = 0;  // unseen_: share of held-out bugs whose engineer was new
  bool llama_ = false;
  size_t vector_width_ = 0;
  std::vector<float> vector_mean_, vector_scale_;  // (width) what makes the encoder's vectors zero-mean, unit-variance over the records
  std::string fingerprint_;
  std::shared_ptr<const TextEncoder> encoder_;
};

}  // namespace ingot
