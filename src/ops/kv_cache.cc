#include "ops/kv_cache.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/workspace.h"

namespace ingot {

using cpu::kAttentionRows;
using cpu::kCacheBlock;

namespace {

int bits_of(CacheType type) {
  switch (type) {
    case CacheType::kF32: return 32;
    case CacheType::kF16: return 16;
    case CacheType::kQ8: return 8;
    case CacheType::kQ4: return 4;
  }
  return 0;
}

int64_t position_bytes(CacheType type, int64_t d) { return bits_of(type) < 16 ? cpu::cache_position_bytes(bits_of(type), d) : d * bits_of(type) / 8; }

}  // namespace

CacheType cache_type_of_name(std::string_view name) {
  if (name == "f32") return CacheType::kF32;
  if (name == "f16") return CacheType::kF16;
  if (name == "q8") return CacheType::kQ8;
  if (name == "q4") return CacheType::kQ4;
  throw Error(ErrorKind::usage, "the type \"" + std::string(name) + "\" of keys and values is not known", "cache", "use f32, f16, q8 or q4");
}

KvCache::KvCache(int64_t layers, int64_t groups, int64_t head_size, CacheType type, int64_t pages)
    : layers_(layers), groups_(groups), position_(position_bytes(type, head_size)), type_(type), owners_(static_cast<size_t>(pages), 0) {
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
void store_row(KvCache& cache, int64_t layer, int64_t group, const RowPlace& place, const float* k, const float* v, int64_t d) {
  int32_t page = place.pages[place.position / kCacheBlock], at = place.position % kCacheBlock;
  T* keys = reinterpret_cast<T*>(cache.keys(page, layer, group)) + at;
  T* values = reinterpret_cast<T*>(cache.values(page, layer, group)) + at * d;
  if constexpr (sizeof(T) == 4) {
    for (int64_t i = 0; i < d; ++i) keys[i * kCacheBlock] = k[i];
    std::memcpy(values, v, static_cast<size_t>(d) * sizeof(float));
  } else {
    thread_local Workspace space;
    T* half = space.at_least<T>(static_cast<size_t>(d));
    cpu::row_kernels().to_f16(k, half, d);
    for (int64_t i = 0; i < d; ++i) keys[i * kCacheBlock] = half[i];
    cpu::row_kernels().to_f16(v, values, d);
  }
}

void store_position(KvCache& cache, int64_t layer, int64_t group, const RowPlace& place, const float* k, const float* v, int64_t d) {
  const int bits = bits_of(cache.type());
  if (bits == 32) return store_row<float>(cache, layer, group, place, k, v, d);
  if (bits == 16) return store_row<uint16_t>(cache, layer, group, place, k, v, d);
  const int32_t page = place.pages[place.position / kCacheBlock], at = place.position % kCacheBlock;
  cpu::row_kernels().store_codes(bits, true, k, d, at, cache.keys(page, layer, group));
  cpu::row_kernels().store_codes(bits, false, v, d, at, cache.values(page, layer, group));
}

// Positions are taken in splits of this many blocks, each from scratch, and a row's splits are joined in rising order. So it makes no
// difference whether one thread does them one after the other or several do them at once.
constexpr int32_t kSplit = 8;

// Pairs of a row and a head that read the same keys and values: the rows of a piece of a prompt for each head of a group.
constexpr int kLanes = 60;
struct Lanes {
  int count;
  int32_t row[kLanes], head[kLanes];
};

// What a lane has seen so far: the largest score, the sum of exponentials relative to it, and of values weighted by them.
struct Seen {
  float *peak, *total;  // [lanes]
  float* out;           // [lanes][d]
};

// Floats that Seen takes.
int64_t seen_floats(int64_t lanes, int64_t d) { return lanes * (d + 2); }
Seen seen_in(float* room, int64_t lanes) { return {room, room + lanes, room + 2 * lanes}; }

struct Job {
  const Tensor &q, &y;
  KvCache& cache;
  int64_t layer, d, share, window;
  float scale;
  std::span<const RowPlace> places;

  int32_t position(int32_t row) const { return places[static_cast<size_t>(row)].position; }
  int32_t start(int32_t row) const { return window > 0 ? static_cast<int32_t>(std::max<int64_t>(0, position(row) + 1 - window)) : 0; }
};

void scaled_queries(const Job& job, const Lanes& lanes, float* q) {
  for (int r = 0; r < lanes.count; ++r) {
    const float* from = job.q.row(lanes.row[r]) + lanes.head[r] * job.d;
    for (int64_t i = 0; i < job.d; ++i) q[r * job.d + i] = from[i] * job.scale;
  }
}

// Blocks [begin, end) from scratch.
void attend_blocks(const Job& job, const Lanes& lanes, int64_t group, int32_t begin, int32_t end, const float* q, const Seen& seen) {
  if (!lanes.count) return;
  const auto& kernels = cpu::row_kernels();
  const int bits = bits_of(job.cache.type());
  const int calls = (lanes.count + kAttentionRows - 1) / kAttentionRows, at_once = (lanes.count + calls - 1) / calls;  // 8 are 4 and 4, not 6 and 2
  thread_local Workspace space;
  // Codes are made floats once for all lanes; f16 takes the kernel no longer than floats do.
  float* room = bits < 16 ? space.at_least<float>(static_cast<size_t>(2 * kCacheBlock * job.d)) : nullptr;
  std::fill_n(seen.peak, lanes.count, -INFINITY);
  std::fill_n(seen.total, lanes.count, 0.0f);
  std::fill_n(seen.out, lanes.count * job.d, 0.0f);
  for (int32_t block = begin; block < end; ++block) {
    int from[kLanes], count[kLanes], lowest = kCacheBlock, longest = 0;
    for (int r = 0; r < lanes.count; ++r) {
      count[r] = std::clamp(job.position(lanes.row[r]) + 1 - block * kCacheBlock, 0, kCacheBlock);
      from[r] = std::clamp(job.start(lanes.row[r]) - block * kCacheBlock, 0, kCacheBlock);
      if (count[r] > from[r]) lowest = std::min(lowest, from[r]), longest = std::max(longest, count[r]);
    }
    if (longest <= lowest) continue;
    const int32_t page = job.places[static_cast<size_t>(lanes.row[0])].pages[block];
    const std::byte *keys = job.cache.keys(page, job.layer, group), *values = job.cache.values(page, job.layer, group);
    if (room) kernels.load_block(bits, job.d, keys, values, lowest, longest, room);
    const float* wide_keys = room ? room : reinterpret_cast<const float*>(keys);
    const float* wide_values = room ? room + kCacheBlock * job.d : reinterpret_cast<const float*>(values);
    for (int r = 0, rows; r < lanes.count; r += rows) {
      rows = std::min(at_once, lanes.count - r);
      if (std::equal(from + r, from + r + rows, count + r, [](int f, int c) { return c <= f; })) continue;
      const float* queries = q + r * job.d;
      float* out = seen.out + r * job.d;
      if (bits != 16)
        kernels.attend_f32(rows, job.d, queries, job.d, wide_keys, wide_values, from + r, count + r, seen.peak + r, seen.total + r, out, job.d);
      else
        kernels.attend_f16(rows, job.d, queries, job.d, reinterpret_cast<const uint16_t*>(keys), reinterpret_cast<const uint16_t*>(values), from + r,
                           count + r, seen.peak + r, seen.total + r, out, job.d);
    }
  }
}

// What `so_far` holds, and then what `next` does; a lane without a position in `next` stays as it is.
void join(int lanes, int64_t d, const Seen& so_far, const Seen& next) {
  for (int r = 0; r < lanes; ++r) {
    if (next.peak[r] == -INFINITY) continue;
    float *out = so_far.out + r * d, *add = next.out + r * d;
    if (so_far.peak[r] == -INFINITY) {
      so_far.peak[r] = next.peak[r], so_far.total[r] = next.total[r];
      std::copy_n(add, d, out);
      continue;
    }
    const float high = std::max(so_far.peak[r], next.peak[r]), old = std::exp(so_far.peak[r] - high), fresh = std::exp(next.peak[r] - high);
    so_far.peak[r] = high;
    so_far.total[r] = so_far.total[r] * old + next.total[r] * fresh;
    for (int64_t i = 0; i < d; ++i) out[i] = out[i] * old + add[i] * fresh;
  }
}

void write_result(const Job& job, const Lanes& lanes, const Seen& seen) {
  for (int r = 0; r < lanes.count; ++r) {
    float* to = job.y.row(lanes.row[r]) + lanes.head[r] * job.d;
    const float inverse = 1.0f / seen.total[r];
    for (int64_t i = 0; i < job.d; ++i) to[i] = seen.out[r * job.d + i] * inverse;
  }
}

// Consecutive rows of one sequence; with a group, and its rows and heads in pieces of kLanes, a unit of work.
struct Tile {
  int32_t first, rows;
  int32_t begin, end;  // the blocks that any row sees
};

Lanes lanes_of(const Tile& tile, int64_t group, int64_t share, int64_t piece) {
  Lanes lanes{};
  const int64_t all = tile.rows * share, first = piece * kLanes;
  lanes.count = static_cast<int>(std::clamp<int64_t>(all - first, 0, kLanes));
  for (int r = 0; r < lanes.count; ++r) {
    lanes.head[r] = static_cast<int32_t>(group * share + (first + r) / tile.rows);
    lanes.row[r] = tile.first + static_cast<int32_t>((first + r) % tile.rows);
  }
  return lanes;
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
        store_position(cache, layer, g, places[r], kr, vr, d);
      }
  });
  const Job job{q, y, cache, layer, d, share, window, scale, places};
  // A multiple of the kernel's rows, so that none of its calls takes rows of two heads.
  const auto most_rows = static_cast<int32_t>(std::max<int64_t>(kLanes / share / kAttentionRows, 1) * kAttentionRows);
  thread_local std::vector<Tile> tiles;
  tiles.clear();
  int64_t most_lanes = 0, splits = 1;
  for (int32_t r = 0; r < q.rows;) {
    Tile tile{r, 1, job.start(r) / kCacheBlock, job.position(r) / kCacheBlock + 1};
    while (tile.rows < most_rows && r + tile.rows < q.rows && places[static_cast<size_t>(r + tile.rows)].pages == places[static_cast<size_t>(r)].pages) {
      tile.begin = std::min(tile.begin, job.start(r + tile.rows) / kCacheBlock);
      tile.end = std::max(tile.end, job.position(r + tile.rows) / kCacheBlock + 1);
      ++tile.rows;
    }
    tiles.push_back(tile);
    most_lanes = std::max(most_lanes, tile.rows * share);
    splits = std::max<int64_t>(splits, (tile.end + kSplit - 1) / kSplit);
    r += tile.rows;
  }
  const auto& list = tiles;
  const int64_t pieces = (most_lanes + kLanes - 1) / kLanes;
  most_lanes = std::min<int64_t>(most_lanes, kLanes);
  const int64_t units = static_cast<int64_t>(list.size()) * groups * pieces;  // a tile with fewer pieces has some empty ones
  auto unit = [&](int64_t i, const Tile** tile, int64_t* group) {
    *tile = &list[static_cast<size_t>(i / (groups * pieces))];
    *group = i / pieces % groups;
    return lanes_of(**tile, *group, share, i % pieces);
  };
  const int64_t lane_floats = most_lanes * d, each = seen_floats(most_lanes, d);
  const auto mark = c.arena.mark();
  std::atomic<int64_t> next{0};
  if (splits == 1 || units >= 4 * c.team.size()) {
    float* room = c.arena.floats(c.team.size() * (lane_floats + 2 * each));
    c.team.run([&](int part, int) {
      float* own = room + part * (lane_floats + 2 * each);
      const Seen all = seen_in(own + lane_floats, most_lanes), one = seen_in(own + lane_floats + each, most_lanes);
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < units;) {
        const Tile* tile;
        int64_t group;
        const Lanes lanes = unit(units - 1 - i, &tile, &group);  // a prompt's last rows see most: they come first
        if (!lanes.count) continue;
        scaled_queries(job, lanes, own);
        int32_t split = tile->begin / kSplit;
        attend_blocks(job, lanes, group, tile->begin, std::min(tile->end, (split + 1) * kSplit), own, all);
        for (++split; split * kSplit < tile->end; ++split) {
          attend_blocks(job, lanes, group, split * kSplit, std::min(tile->end, (split + 1) * kSplit), own, one);
          join(lanes.count, d, all, one);
        }
        write_result(job, lanes, all);
      }
    });
    c.arena.release(mark);
    return y;
  }
  // Few rows over much context: the splits are shared out.
  float* queries = c.arena.floats(units * lane_floats);
  float* partial = c.arena.floats(units * splits * each);
  for (int64_t i = 0; i < units; ++i) {
    const Tile* tile;
    int64_t group;
    scaled_queries(job, unit(i, &tile, &group), queries + i * lane_floats);
  }
  auto seen_of = [&](int64_t i, int64_t split) { return seen_in(partial + (i * splits + split) * each, most_lanes); };
  c.team.run([&](int, int) {
    for (int64_t w; (w = next.fetch_add(1, std::memory_order_relaxed)) < units * splits;) {
      const Tile* tile;
      int64_t group;
      const int64_t i = w / splits;
      const auto split = static_cast<int32_t>(w % splits);
      const Lanes lanes = unit(i, &tile, &group);
      attend_blocks(job, lanes, group, std::max(tile->begin, split * kSplit), std::min(tile->end, (split + 1) * kSplit), queries + i * lane_floats,
                    seen_of(i, split));
    }
  });
  for (int64_t i = 0; i < units; ++i) {
    const Tile* tile;
    int64_t group;
    const Lanes lanes = unit(i, &tile, &group);
    if (!lanes.count) continue;
    const Seen all = seen_of(i, 0);
    for (int64_t split = 1; split < splits; ++split) join(lanes.count, d, all, seen_of(i, split));
    write_result(job, lanes, all);
  }
  c.arena.release(mark);
  return y;
}

}  // namespace ingot
