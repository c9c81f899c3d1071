// Whole pages of keys and values of texts that were seen, found again by their tokens, least recently used dropped first.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include "ops/kv_cache.h"

namespace ingot {

// A tree of pages. A page is found under the page before it by its own tokens, all of which are compared: no two texts are mistaken for
// each other, whatever their hashes. Not thread-safe.
class PrefixCache {
 public:
  explicit PrefixCache(KvCache& cache) : cache_(cache) {}

  // Where texts of the base model (0) or of an adapter begin. Nothing is shared between two of them.
  static int64_t root(uint64_t adapter) { return -1 - static_cast<int64_t>(adapter); }

  struct Hit {
    int64_t node = 0;
    int32_t page = -1;  // -1: not there
  };
  Hit find(int64_t parent, std::span<const int32_t> tokens) const;  // REQUIRES: tokens fill a page
  // Adds an owner to the page unless the same text is there already; returns its node.
  int64_t add(int64_t parent, std::span<const int32_t> tokens, int32_t page);
  // The page that ends at `node` and all before it were used just now.
  void touch(int64_t node);
  // Frees the least recently used page that nobody else holds; false when there is none.
  bool evict();
  int64_t pages() const { return static_cast<int64_t>(entries_.size()); }

 private:
  struct Entry {
    int64_t node, parent;
    uint64_t hash;
    int32_t page;
    std::vector<int32_t> tokens;
  };
  KvCache& cache_;
  std::list<Entry> entries_;  // most recently used first; a page stands before those that continue it
  std::unordered_map<int64_t, std::list<Entry>::iterator> by_node_;
  std::unordered_multimap<uint64_t, std::list<Entry>::iterator> by_hash_;
  int64_t next_ = 0;
};

}  // namespace ingot
