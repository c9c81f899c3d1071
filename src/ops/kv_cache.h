// Keys and values of past positions in pages of 64, shared by all sequences of a model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ops/context.h"

namespace ingot {

enum class CacheType { kF32, kF16, kQ8, kQ4 };

CacheType cache_type_of_name(std::string_view name);  // "f32", "f16", "q8", "q4"; Error (usage) for another

// A page holds 64 positions of all layers: keys [layer][group][d][64], values [layer][group][64][d], or codes and their scales
// (kernels/cpu/cache_codes.h): 8.5 and 5 bits an element. Pages are counted, so that sequences may share a common beginning.
class KvCache {
 public:
  KvCache(int64_t layers, int64_t groups, int64_t head_size, CacheType type, int64_t pages);

  int32_t take();             // a fresh page; throws Error (environment) when all are in use
  void share(int32_t page);   // one more owner
  void drop(int32_t page);    // one fewer; the last frees it
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  int64_t pages() const { return static_cast<int64_t>(owners_.size()); }
  int64_t page_bytes() const { return 2 * layers_ * groups_ * 64 * position_; }
  CacheType type() const { return type_; }
  int64_t groups() const { return groups_; }

  std::byte* keys(int32_t page, int64_t layer, int64_t group) { return at(page, layer, group, 0); }
  std::byte* values(int32_t page, int64_t layer, int64_t group) { return at(page, layer, group, 1); }
  int owners(int32_t page) const { return owners_[static_cast<size_t>(page)]; }
  // A page of one's own with the same content; the old one loses an owner.
  int32_t copy(int32_t page);

 private:
  std::byte* at(int32_t page, int64_t layer, int64_t group, int64_t which) {
    return data_.get() + page * page_bytes() + ((layer * groups_ + group) * 2 + which) * 64 * position_;
  }
  int64_t layers_, groups_, position_;  // bytes of the keys or values of a position and group
  CacheType type_;
  std::unique_ptr<std::byte[]> data_;
  std::vector<int> owners_;
  std::vector<int32_t> free_;
};

// Where a row of a batch stands: its sequence's pages and its position there.
struct RowPlace {
  const int32_t* pages;
  int32_t position;
};

// Writes k and v of every row to its place, then lets every query row attend to positions 0..its own (the last `window` of them if
// window > 0). q [n, H*d] -> [n, H*d]. Positions are taken in blocks of 64 with an online softmax, from the cache's type always, so a
// row's result depends on its own sequence alone.
Tensor attend_cached(const Context& c, Tensor q, Tensor k, Tensor v, int64_t head_size, KvCache& cache, int64_t layer,
                     std::span<const RowPlace> places, float scale, int64_t window = 0);

}  // namespace ingot
