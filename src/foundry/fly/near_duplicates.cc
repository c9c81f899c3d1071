#include "foundry/fly/near_duplicates.h"

#include <algorithm>
#include <utility>

#include "core/sha256.h"
#include "text/normalise.h"

namespace ingot {
namespace {

uint64_t mixed(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<std::string> plain_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : normalise_text(text)) {
    const bool inside = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
    if (inside) word += c;
    else if (!word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

}  // namespace

std::string content_hash(std::string_view text) {
  std::string joined;
  for (const std::string& word : plain_words(text)) joined += word + " ";
  return hex(sha256(joined));
}

MinHash min_hash(std::string_view text) {
  constexpr size_t kRun = 3;
  std::vector<uint64_t> words;
  for (const std::string& word : plain_words(text)) {
    uint64_t h = 0xcbf29ce484222325u;  // FNV-1a: the same on every machine
    for (const char c : word) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    words.push_back(h);
  }
  MinHash least;
  least.fill(0xffffffffu);
  const size_t run = std::min(kRun, std::max<size_t>(words.size(), 1));
  for (size_t i = 0; i + run <= words.size(); ++i) {
    uint64_t h = 0;
    for (size_t k = 0; k < run; ++k) h = mixed(h * 31 + words[i + k]);
    for (size_t k = 0; k < least.size(); ++k) least[k] = std::min(least[k], static_cast<uint32_t>(mixed(h + (k + 1) * 0x9e3779b97f4a7c15u) >> 32));
  }
  return least;
}

double resemblance(const MinHash& a, const MinHash& b) {
  size_t same = 0;
  for (size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  return static_cast<double>(same) / static_cast<double>(a.size());
}

uint64_t NearDuplicates::band(const MinHash& text, size_t which) {
  uint64_t h = which;
  for (size_t i = 0; i < kRows; ++i) h = mixed(h * 0x9e3779b97f4a7c15u + text[which * kRows + i]);
  return h;
}

std::optional<size_t> NearDuplicates::find(const MinHash& text) const {
  std::optional<size_t> first;
  for (size_t b = 0; b < kBands; ++b) {
    const auto [from, to] = places_.equal_range(band(text, b));
    for (auto at = from; at != to; ++at)
      if ((!first || at->second < *first) && resemblance(texts_[at->second].first, text) >= least_) first = at->second;
  }
  if (!first) return {};
  return texts_[*first].second;
}

void NearDuplicates::add(const MinHash& text, size_t name) {
  for (size_t b = 0; b < kBands; ++b) places_.emplace(band(text, b), texts_.size());
  texts_.emplace_back(text, name);
}

}  // namespace ingot
