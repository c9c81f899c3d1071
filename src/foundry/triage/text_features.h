// Words and word pairs of a text as a sparse vector: sublinear term frequency times inverse document frequency, unit length.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/blob.h"

namespace ingot {

struct SparseRow {
  std::vector<uint32_t> ids;  // ascending
  std::vector<float> values;
};

// Lower-case words; identifiers also in their parts ("getFooBar" -> getfoobar, get, foo, bar), numbers over 4 digits dropped.
std::vector<std::string> words_of(std::string_view text);

class Vocabulary {
 public:
  // Terms in at least two texts, the most frequent `most` of them.
  static Vocabulary build(std::span<const std::vector<std::string>> texts, size_t most);

  SparseRow vectorise(const std::vector<std::string>& words) const;
  // Ids of the single words that are known, with repetitions.
  std::vector<uint32_t> ids(const std::vector<std::string>& words) const;
  size_t size() const { return terms_.size(); }
  const std::string& term(uint32_t id) const { return terms_[id]; }

  void save(BlobWriter& out) const;
  static Vocabulary load(BlobReader& in);

 private:
  void index();
  std::vector<std::string> terms_;
  std::vector<float> idf_;
  std::unordered_map<std::string, uint32_t> ids_;
};

}  // namespace ingot
