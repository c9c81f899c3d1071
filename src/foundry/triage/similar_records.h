// Finds past records that share rare words with a new one: Okapi BM25 (Robertson and Zaragoza, 2009) over single words.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/blob.h"

namespace ingot {

class SimilarRecords {
 public:
  struct Hit {
    uint32_t record;
    float score;
  };

  // words[i]: word ids below `vocabulary`, with repetitions.
  static SimilarRecords build(std::vector<std::vector<uint32_t>> words, size_t vocabulary);
  // The `most` best, best first; ties go to the newer record.
  std::vector<Hit> find(std::span<const uint32_t> words, size_t most) const;

  void save(BlobWriter& out) const;
  static SimilarRecords load(BlobReader& in, size_t records, size_t vocabulary);

 private:
  void index(size_t vocabulary);
  std::vector<std::vector<uint32_t>> words_;
  std::vector<uint32_t> starts_;  // (vocabulary + 1) into postings
  struct Posting {
    uint32_t record;
    float weight;
  };
  std::vector<Posting> postings_;
};

}  // namespace ingot
