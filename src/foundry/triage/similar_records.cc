#include "foundry/triage/similar_records.h"

#include <algorithm>
#include <cmath>

namespace ingot {
namespace {
constexpr float kK1 = 1.2f, kB = 0.75f;
}

SimilarRecords SimilarRecords::build(std::vector<std::vector<uint32_t>> words, size_t vocabulary) {
  SimilarRecords similar;
  similar.words_ = std::move(words);
  similar.index(vocabulary);
  return similar;
}

void SimilarRecords::index(size_t vocabulary) {
  const size_t n = words_.size();
  double total = 0;
  std::vector<std::vector<std::pair<uint32_t, uint32_t>>> counts(n);
  std::vector<uint32_t> frequency(vocabulary + 1, 0);
  for (size_t i = 0; i < n; ++i) {
    std::sort(words_[i].begin(), words_[i].end());
    total += static_cast<double>(words_[i].size());
    for (uint32_t word : words_[i]) {
      if (counts[i].empty() || counts[i].back().first != word) {
        counts[i].emplace_back(word, 0);
        ++frequency[word];
      }
      ++counts[i].back().second;
    }
  }
  const auto average = static_cast<float>(n ? std::max(total / n, 1.0) : 1.0);
  starts_.assign(vocabulary + 1, 0);
  for (size_t w = 0; w < vocabulary; ++w) starts_[w + 1] = starts_[w] + frequency[w];
  postings_.resize(starts_[vocabulary]);
  std::vector<uint32_t> at(starts_.begin(), starts_.end() - 1);
  for (size_t i = 0; i < n; ++i) {
    for (const auto& [word, count] : counts[i]) {
      const float idf = std::log(1 + (n - frequency[word] + 0.5f) / (frequency[word] + 0.5f));
      const float tf = count * (kK1 + 1) / (count + kK1 * (1 - kB + kB * words_[i].size() / average));
      postings_[at[word]++] = {static_cast<uint32_t>(i), idf * tf};
    }
  }
}

std::vector<SimilarRecords::Hit> SimilarRecords::find(std::span<const uint32_t> words, size_t most) const {
  std::vector<uint32_t> distinct(words.begin(), words.end());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<float> scores(words_.size(), 0.f);
  for (uint32_t word : distinct) {
    if (word + 1 >= starts_.size()) continue;
    for (uint32_t p = starts_[word]; p < starts_[word + 1]; ++p) scores[postings_[p].record] += postings_[p].weight;
  }
  std::vector<Hit> hits;
  for (uint32_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > 0) hits.push_back({i, scores[i]});
  }
  const auto better = [](const Hit& a, const Hit& b) { return a.score != b.score ? a.score > b.score : a.record > b.record; };
  if (hits.size() > most) {
    std::nth_element(hits.begin(), hits.begin() + most, hits.end(), better);
    hits.resize(most);
  }
  std::sort(hits.begin(), hits.end(), better);
  return hits;
}

void SimilarRecords::save(BlobWriter& out) const {
  for (const auto& words : words_) out.put(words);
}

SimilarRecords SimilarRecords::load(BlobReader& in, size_t records, size_t vocabulary) {
  std::vector<std::vector<uint32_t>> words;
  for (size_t i = 0; i < records; ++i) {
    words.push_back(in.vector<uint32_t>());
    for (uint32_t word : words.back()) in.require(word < vocabulary);
  }
  return build(std::move(words), vocabulary);
}

}  // namespace ingot
