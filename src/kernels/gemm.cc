#include "kernels/gemm.h"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/float_kernels.h"
#include "kernels/workspace.h"
#include "tensor/element_type.h"

namespace ingot {
namespace {

struct Blocking {
  int64_t depth, block_rows;  // a block of A stays in L2, a panel of B in L1
  int64_t tile_columns;       // of packed B, at most
};
// A panel of B, 256 x 32 floats, is 32 KiB; a block of A is 240 KiB and lies in L2 (1 MiB) beside at most 512 KiB of packed B.
constexpr Blocking kVectors{256, 240, 512};
// Products on tiles are so quick that C decides: it goes to memory and back once a depth. Of depths from 256 to 2048 and blocks of 64 to
// 240 rows these gave the most, by up to a factor of two over the vectors' (4096x768x768: 1,523 GFLOP/s instead of 896).
constexpr Blocking kTiles{1024, 64, 1024};
constexpr int64_t kTileRows = 960;
constexpr int64_t kNear = 8;  // rows whose lines fit into the ways of one set of L1, where rows are a power of two apart

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

struct TileShape {
  int64_t rows, columns;
};

// The tiles of C that the threads take in turn: even ones, and as few as keep the threads busy, since each packs its own A and B. A step
// of k costs a tile rows * columns products, and a number that is packed as much as `pace` of them.
TileShape tile_shape(int64_t m, int64_t n, int mr, int nr, int pace, int64_t most_columns, int threads) {
  constexpr double kUneven = 0.25;  // of a tile that the threads wait for each other: they are never equally fast
  TileShape best{};
  double least = 0;
  const int64_t enough = threads > 1 ? 8 * threads : 1, fewest_down = (m + kTileRows - 1) / kTileRows, fewest_across = (n + most_columns - 1) / most_columns;
  for (int64_t down = fewest_down; down == fewest_down || down * fewest_across <= enough; ++down) {
    for (int64_t across = fewest_across; across == fewest_across || down * across <= enough; ++across) {
      const TileShape shape{round_up((m + down - 1) / down, mr), round_up((n + across - 1) / across, nr)};
      const int64_t tiles = ((m + shape.rows - 1) / shape.rows) * ((n + shape.columns - 1) / shape.columns);
      const double one = static_cast<double>(shape.rows * shape.columns) / pace + static_cast<double>(shape.rows + shape.columns);
      const double all = one * (static_cast<double>((tiles + threads - 1) / threads) + (threads > 1 ? kUneven : 0));
      if (least == 0 || all < least) least = all, best = shape;
    }
  }
  return best;
}

// What the driver needs to know of a kind of product: how either matrix is packed in strips, and the tile. `unit` is how many k one step takes.
struct F32Side {
  using Packed = float;
  const cpu::FloatKernels& kernels;
  int unit() const { return 1; }
  int pace() const { return kernels.nr; }
  const Blocking& blocking() const { return kVectors; }
  void left_rows(const float* s, int64_t ld, int r, int64_t k, float* o) const { kernels.pack_rows(s, ld, r, k, kernels.mr, o); }
  void left_columns(const float* s, int64_t ld, int r, int64_t k, float* o) const { kernels.pack_columns(s, ld, r, k, kernels.mr, o); }
  void right_rows(const float* s, int64_t ld, int r, int64_t k, float* o) const { kernels.pack_rows(s, ld, r, k, kernels.nr, o); }
  void right_columns(const float* s, int64_t ld, int r, int64_t k, float* o) const { kernels.pack_columns(s, ld, r, k, kernels.nr, o); }
  void tile(int rows, int64_t steps, const float* a, const float* b, float* c, int64_t ldc, bool load) const { kernels.tile(rows, steps, a, kernels.mr, b, c, ldc, load); }
};

struct Bf16Side {
  using Packed = uint16_t;
  const cpu::Bf16Kernels& kernels;
  int unit() const { return kernels.unit; }
  int pace() const { return kernels.pace; }
  const Blocking& blocking() const { return kernels.unit > 2 ? kTiles : kVectors; }
  void left_rows(const float* s, int64_t ld, int r, int64_t k, uint16_t* o) const { kernels.left_rows(s, ld, r, k, kernels.mr, o); }
  void left_columns(const float* s, int64_t ld, int r, int64_t k, uint16_t* o) const { kernels.left_columns(s, ld, r, k, kernels.mr, o); }
  void right_rows(const float* s, int64_t ld, int r, int64_t k, uint16_t* o) const { kernels.right_rows(s, ld, r, k, kernels.nr, o); }
  void right_columns(const float* s, int64_t ld, int r, int64_t k, uint16_t* o) const { kernels.right_columns(s, ld, r, k, kernels.nr, o); }
  void tile(int rows, int64_t steps, const uint16_t* a, const uint16_t* b, float* c, int64_t ldc, bool load) const { kernels.tile(rows, steps, a, b, c, ldc, load); }
};

// Where the target has no bf16 products: f32 ones of what was rounded.
struct RoundedSide : F32Side {
  static const float* rounded(const float* s, int64_t ld, int64_t rows, int64_t k) {
    thread_local Workspace space;
    float* f = space.at_least<float>(static_cast<size_t>(rows * k));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t p = 0; p < k; ++p) f[i * k + p] = f32_of_bf16(bf16_of_f32(s[i * ld + p]));
    return f;
  }
  void left_rows(const float* s, int64_t ld, int r, int64_t k, float* o) const { F32Side::left_rows(rounded(s, ld, r, k), k, r, k, o); }
  void left_columns(const float* s, int64_t ld, int r, int64_t k, float* o) const { F32Side::left_columns(rounded(s, ld, k, r), r, r, k, o); }
  void right_rows(const float* s, int64_t ld, int r, int64_t k, float* o) const { F32Side::right_rows(rounded(s, ld, r, k), k, r, k, o); }
  void right_columns(const float* s, int64_t ld, int r, int64_t k, float* o) const { F32Side::right_columns(rounded(s, ld, k, r), r, r, k, o); }
};

template <class Side>
struct Job {
  using P = typename Side::Packed;
  Side side;
  Transpose ta, tb;
  int64_t m, n, k;
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
  bool accumulate;
  int64_t tile_rows, tile_columns, across;
  int64_t tiles;
  std::atomic<int64_t> next{0};

  void work() {
    for (int64_t t; (t = next.fetch_add(1, std::memory_order_relaxed)) < tiles;) {
      int64_t i = t / across * tile_rows, j = t % across * tile_columns;
      one_tile(i, std::min(m, i + tile_rows), j, std::min(n, j + tile_columns));
    }
  }

  void one_tile(int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    thread_local Workspace a_space, b_space;
    const int mr = side.kernels.mr, nr = side.kernels.nr, unit = side.unit();
    const int64_t depth_max = side.blocking().depth, block_rows = side.blocking().block_rows / mr * mr;
    P* pa = a_space.at_least<P>(static_cast<size_t>(block_rows * depth_max));
    P* pb = b_space.at_least<P>(static_cast<size_t>(round_up(j1 - j0, nr) * depth_max));
    alignas(64) float edge[32 * 32];
    for (int64_t p0 = 0; p0 < k; p0 += depth_max) {
      int64_t depth = std::min(depth_max, k - p0), steps = (depth + unit - 1) / unit, padded = steps * unit;
      bool load = accumulate || p0 > 0;
      for (int64_t j = j0; j < j1; j += nr) {
        int columns = static_cast<int>(std::min<int64_t>(nr, j1 - j));
        P* to = pb + (j - j0) * padded;
        if (tb == Transpose::kNo)
          side.right_columns(b + p0 * ldb + j, ldb, columns, depth, to);
        else
          side.right_rows(b + j * ldb + p0, ldb, columns, depth, to);
      }
      for (int64_t block = i0; block < i1; block += block_rows) {
        int64_t end = std::min(i1, block + block_rows);
        // A strip takes less than a cache line of a row of transposed A: a few rows at a time go into all strips while they are near.
        const int64_t step = ta == Transpose::kNo || unit > 2 ? depth : kNear;
        for (int64_t p = 0; p < depth; p += step)
          for (int64_t i = block; i < end; i += mr) {
            int rows = static_cast<int>(std::min<int64_t>(mr, end - i));
            P* to = pa + (i - block) * padded + p * mr;
            if (ta == Transpose::kNo)
              side.left_rows(a + i * lda + p0, lda, rows, depth, to);
            else
              side.left_columns(a + (p0 + p) * lda + i, lda, rows, std::min(step, depth - p), to);
          }
        for (int64_t j = j0; j < j1; j += nr)
          for (int64_t i = block; i < end; i += mr) {
            int rows = static_cast<int>(std::min<int64_t>(mr, end - i));
            const P *left = pa + (i - block) * padded, *right = pb + (j - j0) * padded;
            float* to = c + i * ldc + j;
            if (j + nr <= j1) {
              side.tile(rows, steps, left, right, to, ldc, load);
              continue;
            }
            if (load)
              for (int r = 0; r < rows; ++r) std::copy_n(to + r * ldc, j1 - j, edge + r * nr);
            side.tile(rows, steps, left, right, edge, nr, load);
            for (int r = 0; r < rows; ++r) std::copy_n(edge + r * nr, j1 - j, to + r * ldc);
          }
      }
    }
  }
};

template <class Side>
void run(Side side, Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
          int64_t ldc, bool accumulate, ThreadTeam& team) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) {
    if (!accumulate)
      for (int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, 0.0f);
    return;
  }
  const int mr = side.kernels.mr, nr = side.kernels.nr;
  const bool alone = team.size() == 1 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < 2e5;  // a wake-up costs more
  const TileShape tile = tile_shape(m, n, mr, nr, side.pace(), side.blocking().tile_columns, alone ? 1 : team.size());
  const int64_t across = (n + tile.columns - 1) / tile.columns, tiles = (m + tile.rows - 1) / tile.rows * across;
  Job<Side> job{side, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, tile.rows, tile.columns, across, tiles};
  if (alone || tiles == 1) return job.work();
  team.run([&job](int, int) { job.work(); });
}

}  // namespace

void gemm_f32(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
              float* c, int64_t ldc, bool accumulate, ThreadTeam& team) {
  run(F32Side{cpu::float_kernels()}, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
}

void gemm_bf16(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
               float* c, int64_t ldc, bool accumulate, ThreadTeam& team) {
  if (const cpu::Bf16Kernels* kernels = cpu::bf16_kernels())
    run(Bf16Side{*kernels}, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
  else
    run(RoundedSide{{cpu::float_kernels()}}, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
}

}  // namespace ingot
