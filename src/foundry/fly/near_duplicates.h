// Texts that are nearly the same: MinHash (Broder, 1997) over runs of three words, with banded look-up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ingot {

// 128 minima: the estimated share of common runs has a standard error of at most 0.044.
using MinHash = std::array<uint32_t, 128>;
MinHash min_hash(std::string_view text);
double resemblance(const MinHash& a, const MinHash& b);  // estimated Jaccard similarity

// SHA-256 of the text as a reader sees it: case, accents, spaces and what does not show do not count.
std::string content_hash(std::string_view text);

class NearDuplicates {
 public:
  // least: the similarity from which two texts are one. 32 bands of 4 minima find a pair at 0.8 with a chance of 1 - 5e-8.
  explicit NearDuplicates(double least) : least_(least) {}
  std::optional<size_t> find(const MinHash& text) const;  // the first added text that is as similar
  void add(const MinHash& text, size_t name);

 private:
  static constexpr size_t kBands = 32, kRows = 4;
  static uint64_t band(const MinHash& text, size_t which);
  double least_;
  std::vector<std::pair<MinHash, size_t>> texts_;
  std::unordered_multimap<uint64_t, size_t> places_;
};

}  // namespace ingot
