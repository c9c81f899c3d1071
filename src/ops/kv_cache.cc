#include "ops/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"

namespace ingot {

using cpu::kAttentionRows;
using cpu::kCacheBlock;

KvCache::KvCache(int64_t layers, int64_t groups, int64_t head_size, CacheType type, int64_t pages)
    : layers_(layers), groups_(groups), d_(head_size), element_(type == CacheType::kF32 ? 4 : 2), type_(type), owners_(static_cast<size_t>(pages), 0) {
  // Not cleared here: a page is cleared when it is taken, so memory is touched as it is needed.
  data_.reset(new std::byte[static_cast<size_t>(pages * page_bytes())]);
  for (int64_t p = pages; p-- > 0;) free_.push_back(static_cast<int32_t>(p));
}

int32_t KvCache::take() {
  if (free_.empty())
    throw Error(ErrorKind::environment, "the key/value cache is full: all " + std::to_string(pages()) + " pages of 64 positions are in use",
                "cache", "send fewer or shorter requests at once, or give the cache more memory");
  int32_t page = free_.back();
  free_.pop_back();
  owners_[static_cast<size_t>(page)] = 1;
  std::memset(at(page, 0, 0, 0), 0, static_cast<size_t>(page_bytes()));  // unwritten positions are multiplied by zero: no NaN there
  return page;
}

void KvCache::share(int32_t page) { ++owners_[static_cast<size_t>(page)]; }

void KvCache::drop(int32_t page) {
  if (--owners_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

int32_t KvCache::copy(int32_t page) {
  int32_t fresh = take();
  std::memcpy(at(fresh, 0, 0, 0), at(page, 0, 0, 0), static_cast<size_t>(page_bytes()));
  drop(page);
  return fresh;
}

namespace {

template <typename T>
void put(float value, T* to) {
  if constexpr (sizeof(T) == 4) *to = value;
  else cpu::row_kernels().to_f16(&value, to, 1);
}

template <typename T>
void store_row(KvCache& cache, int64_t layer, int64_t group, const RowPlace& place, const float* k, const float* v, int64_t d) {
  int32_t page = place.pages[place.position / kCacheBlock], at = place.position % kCacheBlock;
  T* keys = reinterpret_cast<T*>(cache.keys(page, layer, group)) + at;
  T* values = reinterpret_cast<T*>(cache.values(page, layer, group)) + at * d;
  for (int64_t i = 0; i < d; ++i) put(k[i], keys + i * kCacheBlock);
  if constexpr (sizeof(T) == 4) std::memcpy(values, v, static_cast<size_t>(d) * sizeof(float));
  else cpu::row_kernels().to_f16(v, values, d);
}

struct Job {
  const Tensor &q, &y;
  KvCache& cache;
  int64_t layer, d, share, window;
  float scale;
  std::span<const RowPlace> places;
};

// Rows [first, first+rows) of one sequence and all heads of one group.
void attend_rows(const Job& job, int64_t first, int rows, int64_t group, float* room) {
  const auto& kernels = cpu::row_kernels();
  const int64_t d = job.d;
  const bool wide = job.cache.type() == CacheType::kF32;
  // The first position that each row may see, and the blocks that any row sees.
  int32_t start[kAttentionRows], begin = INT32_MAX, last = 0;
  for (int r = 0; r < rows; ++r) {
    int32_t position = job.places[static_cast<size_t>(first + r)].position;
    start[r] = job.window > 0 ? static_cast<int32_t>(std::max<int64_t>(0, position + 1 - job.window)) : 0;
    begin = std::min(begin, start[r]);
    last = std::max(last, position);
  }
  for (int64_t h = group * job.share; h < (group + 1) * job.share; ++h) {
    float peak[kAttentionRows], total[kAttentionRows];
    for (int r = 0; r < rows; ++r) {
      peak[r] = -INFINITY, total[r] = 0;
      const float* q = job.q.row(first + r) + h * d;
      for (int64_t i = 0; i < d; ++i) room[r * d + i] = q[i] * job.scale;
      std::memset(job.y.row(first + r) + h * d, 0, static_cast<size_t>(d) * sizeof(float));
    }
    for (int32_t block = begin / kCacheBlock; block <= last / kCacheBlock; ++block) {
      int from[kAttentionRows], count[kAttentionRows], most = 0;
      for (int r = 0; r < rows; ++r) {
        int32_t position = job.places[static_cast<size_t>(first + r)].position;
        count[r] = std::clamp(position + 1 - block * kCacheBlock, 0, kCacheBlock);
        from[r] = std::clamp(start[r] - block * kCacheBlock, 0, kCacheBlock);
        most = std::max(most, count[r] - from[r]);
      }
      if (most <= 0) continue;
      int32_t page = job.places[static_cast<size_t>(first)].pages[block];
      const std::byte *keys = job.cache.keys(page, job.layer, group), *values = job.cache.values(page, job.layer, group);
      float* out = job.y.row(first) + h * d;
      if (wide)
        kernels.attend_f32(rows, d, room, d, reinterpret_cast<const float*>(keys), reinterpret_cast<const float*>(values), from, count,
                           peak, total, out, job.y.cols);
      else
        kernels.attend_f16(rows, d, room, d, reinterpret_cast<const uint16_t*>(keys), reinterpret_cast<const uint16_t*>(values), from,
                           count, peak, total, out, job.y.cols);
    }
    for (int r = 0; r < rows; ++r) {
      float* out = job.y.row(first + r) + h * d;
      float inverse = 1.0f / total[r];
      for (int64_t i = 0; i < d; ++i) out[i] *= inverse;
    }
  }
}

}  // namespace

Tensor attend_cached(const Context& c, Tensor q, Tensor k, Tensor v, int64_t d, KvCache& cache, int64_t layer,
                     std::span<const RowPlace> places, float scale, int64_t window) {
  const int64_t heads = q.cols / d, groups = cache.groups(), share = heads / groups;
  if (d % 16) bad_input("a head of " + std::to_string(d) + " elements is no multiple of 16", "attention", "this model's shape is not supported");
  Tensor y = c.make(q.rows, q.cols);
  c.team.parallel_for(static_cast<size_t>(q.rows), 8, [&](size_t from, size_t to) {
    for (size_t r = from; r < to; ++r)
      for (int64_t g = 0; g < groups; ++g) {
        const float *kr = k.row(static_cast<int64_t>(r)) + g * d, *vr = v.row(static_cast<int64_t>(r)) + g * d;
        if (cache.type() == CacheType::kF32) store_row<float>(cache, layer, g, places[r], kr, vr, d);
        else store_row<uint16_t>(cache, layer, g, places[r], kr, vr, d);
      }
  });
  // Tiles of up to 4 consecutive rows of the same sequence, times groups, dealt to the team from the longest end.
  thread_local std::vector<std::pair<int64_t, int>> tiles;
  tiles.clear();
  for (int64_t r = 0; r < q.rows;) {
    int rows = 1;
    while (rows < kAttentionRows && r + rows < q.rows && places[static_cast<size_t>(r + rows)].pages == places[static_cast<size_t>(r)].pages) ++rows;
    tiles.push_back({r, rows});
    r += rows;
  }
  const Job job{q, y, cache, layer, d, share, window, scale, places};
  float* room = c.arena.floats(c.team.size() * kAttentionRows * d);
  const auto& list = tiles;
  c.team.run([&](int part, int of) {
    auto jobs = static_cast<int64_t>(list.size()) * groups;
    for (int64_t i = part; i < jobs; i += of)
      attend_rows(job, list[static_cast<size_t>(i / groups)].first, list[static_cast<size_t>(i / groups)].second, i % groups,
                  room + part * kAttentionRows * d);
  });
  return y;
}

}  // namespace ingot
