// Is a sentence of an answer borne out by the documents that it was to rest on? By shared words and near words, and by every
// number and name.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "models/text_encoder.h"

namespace ingot {

constexpr double kSupportThreshold = 0.6;

class Grounding {
 public:
  // question: names and numbers that it holds need not stand in the documents.
  // encoder: for words that are near each other; null: the same words alone.
  Grounding(std::span<const std::string> documents, std::string_view question, std::shared_ptr<const TextEncoder> encoder);

  struct Support {
    double score = 0;       // 0 to 1: the share of what the sentence says, weighed by how rare it is, that the best passage says
    bool claims = true;     // false: the sentence says nothing that could be borne out ("Sure.", "I do not know.")
    std::string missing;    // a number or name that no passage holds; empty: none
    size_t document = 0;    // of the best passage, from 0
    bool supported() const { return !claims || (missing.empty() && score >= kSupportThreshold); }
  };
  // A sentence with marks such as [2] is looked for in these documents alone. Thread-safe.
  Support judge(std::string_view sentence) const;

 private:
  struct Passage {
    size_t document;
    std::unordered_set<std::string> terms;
    bool denies = false;
  };
  double weight_of(const std::string& term) const;
  // How well the passage says a term that it does not hold itself, 0 to 1.
  double nearness(const std::vector<float>& vector, const Passage& passage) const;
  std::vector<Passage> passages_;                       // each sentence, and each with its neighbours
  std::unordered_map<std::string, uint32_t> frequency_; // in how many sentences a term stands
  size_t sentences_ = 0, documents_ = 0;
  std::vector<std::unordered_set<std::string>> held_;   // (documents) every term
  std::unordered_set<std::string> asked_;               // terms of the question
  std::shared_ptr<const TextEncoder> encoder_;
  std::unordered_map<std::string, std::vector<float>> vectors_;  // of every term of the documents that is a word
};

}  // namespace ingot
