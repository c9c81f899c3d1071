#include "kernels/matmul.h"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/quant_kernels.h"
#include "kernels/workspace.h"

namespace ingot {
namespace {

// 32 rows x 768 bytes of a panel and its scales stay in L1; a multiple of every block.
constexpr int64_t kQuantDepth = 768;
// 32 rows x 256 floats: 32 KiB.
constexpr int64_t kFloatDepth = 256;

// One product of a group: W and what its form needs of x.
struct QuantPart {
  const MatmulPart* what;
  cpu::QuantForm form;
  int64_t stride;   // bytes of a row
  int32_t* start;
  float* sums;
  int64_t units;    // panels, or groups where rows are streamed
};

// A thread's share of what is read next, in pieces for each tile.
class Ahead {
 public:
  // tiles: that this thread will do, about
  Ahead(std::span<const Upcoming> all, size_t part, size_t of, int64_t tiles) {
    const size_t first = all.size() * part / of, last = all.size() * (part + 1) / of;
    left_ = all.subspan(first, last - first);
    int64_t lines = 0;
    for (const Upcoming& u : left_) lines += (u.bytes + 63) / 64;
    each_ = tiles > 0 ? (lines + tiles - 1) / tiles : 0;
  }
  // Gives p the next lines, for a tile of `blocks` blocks in all its groups.
  void give(cpu::Panel& p, int64_t blocks) {
    p.ahead = nullptr, p.ahead_lines = 0;
    if (left_.empty() || !each_) return;
    p.ahead = left_.front().data + at_;
    p.ahead_lines = static_cast<int>((each_ + blocks - 1) / blocks);
    at_ += p.ahead_lines * blocks * 64;
    if (at_ >= left_.front().bytes) left_ = left_.subspan(1), at_ = 0;
  }

 private:
  std::span<const Upcoming> left_;
  int64_t at_ = 0, each_ = 0;
};

struct QuantJob {
  std::span<const QuantPart> parts;
  int64_t k, m;
  const float* x;
  const cpu::QuantKernels& kernels;
  int8_t* quants;
  int64_t x_stride;  // of quants, in bytes: an odd number of cache lines, so that the rows of a tile do not meet in one set
  float* scales;
  int64_t units, grab;
  std::span<const Upcoming> upcoming;
  std::atomic<int64_t> next{0};

  void quantize(int64_t i) {
    const int64_t blocks = k / 32;
    const int32_t* done = nullptr;
    for (const QuantPart& p : parts) {
      if (p.start == done) continue;  // shares the form before it
      done = p.start;
      const int64_t at = i * blocks * p.form.sub;
      cpu::quantize_activations(p.form, kernels.sums, x + i * k, k, quants + i * x_stride, scales + i * blocks, p.start + at, p.sums + at);
    }
  }

  void work(int part, int of) {
    const int64_t tiles = (m + kernels.mr - 1) / kernels.mr * ((k + kQuantDepth - 1) / kQuantDepth);
    Ahead ahead(upcoming, static_cast<size_t>(part), static_cast<size_t>(of), tiles * units / of);
    for (int64_t first; (first = next.fetch_add(grab, std::memory_order_relaxed)) < units;) {
      int64_t last = std::min(units, first + grab), base = 0;
      for (const QuantPart& p : parts) {
        for (int64_t u = std::max(first, base); u < std::min(last, base + p.units); ++u) streams(p) ? stream(p, u - base) : panel(p, u - base, ahead);
        base += p.units;
      }
    }
  }

  bool streams(const QuantPart& p) const { return p.what->interleaved && m <= kernels.stream_rows; }

  void stream(const QuantPart& p, int64_t group) const {
    const int64_t j = group * cpu::kGroupRows, n = p.what->n, bytes = p.stride * cpu::kGroupRows;
    const cpu::Activations a = {quants, scales, p.start, p.sums, x_stride, k / 32};
    const uint8_t* w = static_cast<const uint8_t*>(p.what->interleaved) + group * bytes;
    if (j + cpu::kGroupRows <= n) return kernels.stream(p.what->type, w, static_cast<int>(m), k / 32, a, p.what->y + j, n);
    alignas(64) float edge[8 * 16];
    kernels.stream(p.what->type, w, static_cast<int>(m), k / 32, a, edge, 16);
    for (int64_t i = 0; i < m; ++i) std::copy_n(edge + i * 16, n - j, p.what->y + i * n + j);
  }

  void panel(const QuantPart& part, int64_t index, Ahead& ahead) const {
    thread_local Workspace space;
    const cpu::QuantForm& form = part.form;
    const int64_t n = part.what->n, depth_max = std::min(kQuantDepth, k), blocks_max = depth_max / 32;
    uint8_t* q = space.at_least<uint8_t>(static_cast<size_t>(depth_max * 32 + 2 * blocks_max * form.sub * 32 * 4));
    float* s = reinterpret_cast<float*>(q + depth_max * 32);
    float* mins = s + blocks_max * form.sub * 32;
    alignas(64) float edge[8 * 32];
    const int64_t j = index * cpu::kPanelRows, groups = j + cpu::kGroupRows < n ? 2 : 1;
    const int rows_w = static_cast<int>(std::min<int64_t>(cpu::kPanelRows, n - j));
    const bool as_stored = kernels.eight_as_stored && part.what->interleaved && part.what->type == ElementType::kQ8_0;
    for (int64_t k0 = 0; k0 < k; k0 += kQuantDepth) {
      const int64_t depth = std::min(kQuantDepth, k - k0), blocks = depth / 32, group_bytes = part.stride * cpu::kGroupRows;
      float* low = form.minima ? mins : nullptr;
      cpu::Panel p = {q, s, mins, depth * 16, blocks * form.sub * 16};
      if (as_stored)
        p = {static_cast<const uint8_t*>(part.what->interleaved) + index * 2 * group_bytes + k0 / 32 * (cpu::kGroupRows * block_bytes(ElementType::kQ8_0)), nullptr, nullptr, group_bytes, 0};
      else if (part.what->interleaved)
        kernels.expand(part.what->type, static_cast<const uint8_t*>(part.what->interleaved) + index * 2 * group_bytes, group_bytes,
                       static_cast<int>(groups), k0, depth, q, s, low);
      else
        kernels.pack(part.what->type, static_cast<const uint8_t*>(part.what->w) + j * part.stride, part.stride, rows_w, k0, depth,
                     part.stride * cpu::kPanelRows, q, s, low);
      for (int64_t i = 0; i < m; i += kernels.mr) {
        const int rows = static_cast<int>(std::min<int64_t>(kernels.mr, m - i));
        const int64_t at = i * (k / 32) + k0 / 32;
        cpu::Activations a = {quants + i * x_stride + k0, scales + at, part.start + at * form.sub, part.sums + at * form.sub, x_stride, k / 32};
        float* to = part.what->y + i * n + j;
        ahead.give(p, blocks * groups);
        if (rows_w == groups * cpu::kGroupRows) {
          kernels.tile(form, static_cast<int>(groups), rows, blocks, p, a, to, n, k0 > 0);
          continue;
        }
        if (k0 > 0)
          for (int r = 0; r < rows; ++r) std::copy_n(to + r * n, rows_w, edge + r * 32);
        kernels.tile(form, static_cast<int>(groups), rows, blocks, p, a, edge, 32, k0 > 0);
        for (int r = 0; r < rows; ++r) std::copy_n(edge + r * 32, rows_w, to + r * n);
      }
    }
  }
};

// Units a thread takes at once: large enough to amortise the counter, small enough to balance.
int64_t grab_size(int64_t units, int threads) { return std::clamp<int64_t>(units / (8 * threads), 1, 16); }

constexpr int kMostParts = 4;

void quant_matmul(std::span<const MatmulPart> list, int64_t k, const float* x, int64_t m, ThreadTeam& team, std::span<const Upcoming> upcoming) {
  thread_local Workspace space;
  const cpu::QuantKernels& kernels = cpu::quant_kernels();
  QuantPart parts[kMostParts];
  const int64_t blocks = m * (k / 32);
  const int64_t x_stride = ((k + 63) / 64 | 1) * 64;
  int8_t* quants = space.at_least<int8_t>(static_cast<size_t>(m * x_stride + blocks * 4 + static_cast<int64_t>(list.size()) * blocks * 2 * 8));
  float* scales = reinterpret_cast<float*>(quants + m * x_stride);
  auto* room = reinterpret_cast<int32_t*>(scales + blocks);
  QuantJob job{{}, k, m, x, kernels, quants, x_stride, scales, 0, 0, upcoming};
  int64_t size = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    QuantPart& p = parts[i];
    p = {&list[i], cpu::quant_form(list[i].type), row_bytes(list[i].type, k), room, reinterpret_cast<float*>(room + 2 * blocks), 0};
    room += 4 * blocks;
    if (i > 0 && list[i].type == list[i - 1].type) p.start = parts[i - 1].start, p.sums = parts[i - 1].sums;
    const int64_t rows = job.streams(p) ? cpu::kGroupRows : cpu::kPanelRows;
    p.units = (list[i].n + rows - 1) / rows;
    job.units += p.units;
    size += list[i].n * k * m;
  }
  job.parts = {parts, list.size()};
  job.grab = grab_size(job.units, team.size());
  if (m * k > 65536)
    team.run([&job](int part, int parts_) {
      for (int64_t i = job.m * part / parts_; i < job.m * (part + 1) / parts_; ++i) job.quantize(i);
    });
  else
    for (int64_t i = 0; i < m; ++i) job.quantize(i);
  if (size < 65536) return job.work(0, 1);  // a wake-up costs more
  team.run([&job](int part, int of) { job.work(part, of); });
}

// Interleaved float weights: each group of 16 rows is read once for all rows of x.
struct StreamJob {
  std::span<const MatmulPart> parts;
  int64_t k, m;
  const float* x;
  const cpu::FloatKernels& kernels;
  int64_t units, grab;
  std::atomic<int64_t> next{0};

  void work() {
    for (int64_t first; (first = next.fetch_add(grab, std::memory_order_relaxed)) < units;) {
      const int64_t last = std::min(units, first + grab);
      int64_t base = 0;
      for (const MatmulPart& p : parts) {
        const int64_t groups = (p.n + cpu::kGroupRows - 1) / cpu::kGroupRows, from = std::max(first, base) - base, to = std::min(last, base + groups) - base;
        const int64_t at_once = m <= kernels.stream_rows ? grab : 2;
        for (int64_t g = from; g < to; g += at_once) some(p, g, std::min(to, g + at_once));
        base += groups;
      }
    }
  }

  void some(const MatmulPart& p, int64_t from, int64_t to) const {
    const int64_t size = block_bytes(p.type), step = k * cpu::kGroupRows, whole = p.n / cpu::kGroupRows;
    // Where x has more rows than one pass takes, two groups of this depth (16 KiB) stay in L1 for the next ones.
    const int64_t depth_max = m <= kernels.stream_rows ? k : 128;
    alignas(64) float edge[16 * cpu::kGroupRows];
    for (int64_t k0 = 0; k0 < k; k0 += depth_max) {
      const int64_t depth = std::min(depth_max, k - k0);
      for (int64_t i = 0; i < m; i += kernels.stream_rows) {
        const int rows = static_cast<int>(std::min<int64_t>(kernels.stream_rows, m - i));
        const float* from_x = x + i * k + k0;
        auto at = [&](int64_t group) { return static_cast<const uint8_t*>(p.interleaved) + (group * step + k0 * cpu::kGroupRows) * size; };
        float* y = p.y + i * p.n;
        if (const int64_t end = std::min(to, whole); from < end)
          kernels.stream(p.type, at(from), step, static_cast<int>(end - from), rows, depth, from_x, k, y + from * cpu::kGroupRows, p.n, k0 > 0);
        if (to <= whole) continue;
        const int64_t first = whole * cpu::kGroupRows;
        for (int r = 0; r < rows; ++r) std::copy_n(y + r * p.n + first, p.n - first, edge + r * cpu::kGroupRows);
        kernels.stream(p.type, at(whole), step, 1, rows, depth, from_x, k, edge, cpu::kGroupRows, k0 > 0);
        for (int r = 0; r < rows; ++r) std::copy_n(edge + r * cpu::kGroupRows, p.n - first, y + r * p.n + first);
      }
    }
  }
};

void float_stream(std::span<const MatmulPart> parts, int64_t k, const float* x, int64_t m, ThreadTeam& team) {
  StreamJob job{parts, k, m, x, cpu::float_kernels(), 0, 1};
  int64_t size = 0;
  for (const MatmulPart& p : parts) job.units += (p.n + cpu::kGroupRows - 1) / cpu::kGroupRows, size += p.n * k * m;
  // Groups that one row takes at once are in a grab; with many rows one group is work enough.
  job.grab = m <= 2 ? std::clamp<int64_t>(job.units / (8 * team.size()) / 4 * 4, 4, 16) : grab_size(job.units, team.size());
  if (size < 65536) return job.work();
  team.run([&job](int, int) { job.work(); });
}

struct FloatJob {
  ElementType type;
  const uint8_t* w;
  int64_t stride, n, k, m;
  float* y;
  const cpu::FloatKernels& kernels;
  const float* packed;  // x in groups of mr rows, each [k][rows]
  int64_t panels, grab;
  std::atomic<int64_t> next{0};

  void work() {
    thread_local Workspace wide_space, panel_space;
    const int nr = kernels.nr, mr = kernels.mr;
    float* wide = wide_space.at_least<float>(static_cast<size_t>(nr * kFloatDepth));
    float* panel = panel_space.at_least<float>(static_cast<size_t>(nr * kFloatDepth));
    alignas(64) float edge[16 * 32];
    for (int64_t first; (first = next.fetch_add(grab, std::memory_order_relaxed)) < panels;)
      for (int64_t j = first * nr; j < std::min(n, (first + grab) * nr); j += nr) {
        const int columns = static_cast<int>(std::min<int64_t>(nr, n - j));
        for (int64_t k0 = 0; k0 < k; k0 += kFloatDepth) {
          const int64_t depth = std::min(kFloatDepth, k - k0);
          pack(w + j * stride, columns, k0, depth, wide, panel);
          for (int64_t i = 0; i < m; i += mr) {
            const int rows = static_cast<int>(std::min<int64_t>(mr, m - i));
            const float* left = packed + i * k + k0 * rows;
            float* to = y + i * n + j;
            if (columns == nr) {
              kernels.tile(rows, depth, left, rows, panel, to, n, k0 > 0);
              continue;
            }
            if (k0 > 0)
              for (int r = 0; r < rows; ++r) std::copy_n(to + r * n, columns, edge + r * nr);
            kernels.tile(rows, depth, left, rows, panel, edge, nr, k0 > 0);
            for (int r = 0; r < rows; ++r) std::copy_n(edge + r * nr, columns, to + r * n);
          }
        }
      }
  }

  void pack(const uint8_t* rows, int columns, int64_t k0, int64_t depth, float* wide, float* panel) const {
    if (type == ElementType::kF32)
      return kernels.pack_rows(reinterpret_cast<const float*>(rows) + k0, k, columns, depth, kernels.nr, panel);
    for (int c = 0; c < columns; ++c) {
      const auto* from = reinterpret_cast<const uint16_t*>(rows + c * stride) + k0;
      for (int64_t p = 0; p < depth; p += 32) __builtin_prefetch(from + kernels.nr * k + p);  // the next panel's same place
      (type == ElementType::kF16 ? kernels.from_f16 : kernels.from_bf16)(from, wide + c * kFloatDepth, depth);
    }
    kernels.pack_rows(wide, kFloatDepth, columns, depth, kernels.nr, panel);
  }
};

void float_matmul(ElementType type, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team) {
  thread_local Workspace space;
  const cpu::FloatKernels& kernels = cpu::float_kernels();
  float* packed = space.at_least<float>(static_cast<size_t>(m * k));
  for (int64_t i = 0; i < m; i += kernels.mr) {
    int rows = static_cast<int>(std::min<int64_t>(kernels.mr, m - i));
    kernels.pack_rows(x + i * k, k, rows, k, rows, packed + i * k);
  }
  const int64_t panels = (n + kernels.nr - 1) / kernels.nr;
  FloatJob job{type, static_cast<const uint8_t*>(w), row_bytes(type, k), n, k, m, y, kernels, packed, panels, grab_size(panels, team.size())};
  if (n * k * m < 65536) return job.work();
  team.run([&job](int, int) { job.work(); });
}

}  // namespace

void matmul(std::span<const MatmulPart> parts, int64_t k, const float* x, int64_t m, ThreadTeam& team, std::span<const Upcoming> upcoming) {
  for (const MatmulPart& p : parts) row_bytes(p.type, k);  // refuses a broken block
  if (m <= 0) return;
  MatmulPart quantised[kMostParts], floats[kMostParts];
  size_t count = 0, float_count = 0;
  auto flush = [&] {
    if (count) quant_matmul({quantised, count}, k, x, m, team, upcoming);
    if (float_count) float_stream({floats, float_count}, k, x, m, team);
    count = float_count = 0;
  };
  for (const MatmulPart& p : parts) {
    if (p.n <= 0) continue;
    if (k == 0) {
      std::fill_n(p.y, m * p.n, 0.0f);
    } else if (block_length(p.type) == 1 && p.interleaved) {
      floats[float_count++] = p;
      if (float_count == kMostParts) flush();
    } else if (block_length(p.type) == 1) {
      float_matmul(p.type, p.w, p.n, k, x, m, p.y, team);
    } else {
      quantised[count++] = p;
      if (count == kMostParts) flush();
    }
  }
  flush();
}

void matmul(ElementType wtype, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team) {
  const MatmulPart part{wtype, w, nullptr, n, y};
  matmul({&part, 1}, k, x, m, team);
}

int64_t interleaved_bytes(ElementType type, int64_t n, int64_t k) { return (n + cpu::kGroupRows - 1) / cpu::kGroupRows * cpu::kGroupRows * row_bytes(type, k); }

namespace {

template <class T>
void interleave_floats(const T* w, int rows, int64_t k, T* out) {
  for (int64_t p0 = 0; p0 < k; p0 += 16)
    for (int r = 0; r < cpu::kGroupRows; ++r)
      for (int64_t p = p0; p < std::min(k, p0 + 16); ++p) out[p * cpu::kGroupRows + r] = r < rows ? w[r * k + p] : T{0};
}

}  // namespace

void interleave_groups(ElementType type, const void* w, int64_t n, int64_t k, int64_t first, int64_t last, void* out) {
  const int64_t stride = row_bytes(type, k);
  for (int64_t g = first; g < last; ++g) {
    const int64_t row = g * cpu::kGroupRows;
    if (block_length(type) == 1) {
      const int rows = static_cast<int>(std::min<int64_t>(cpu::kGroupRows, n - row));
      const uint8_t* from = static_cast<const uint8_t*>(w) + row * stride;
      uint8_t* to = static_cast<uint8_t*>(out) + g * stride * cpu::kGroupRows;
      if (type == ElementType::kF32) interleave_floats(reinterpret_cast<const uint32_t*>(from), rows, k, reinterpret_cast<uint32_t*>(to));
      else interleave_floats(reinterpret_cast<const uint16_t*>(from), rows, k, reinterpret_cast<uint16_t*>(to));
      continue;
    }
    cpu::quant_kernels().interleave(type, static_cast<const uint8_t*>(w) + row * stride, stride, static_cast<int>(std::min<int64_t>(cpu::kGroupRows, n - row)), k,
                                    static_cast<uint8_t*>(out) + g * stride * cpu::kGroupRows);
  }
}

}  // namespace ingot
