#include "kernels/gemm.h"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/float_kernels.h"
#include "kernels/workspace.h"
#include "tensor/element_type.h"

namespace ingot {
namespace {

// A panel of B, kDepth x 32 floats, is 32 KiB and stays in L1; a block of A, kBlockRows x kDepth, is 240 KiB and stays in L2 (1 MiB)
// beside the kTileColumns x kDepth floats (512 KiB at most) of packed B.
constexpr int64_t kDepth = 256, kBlockRows = 240, kTileRows = 960, kTileColumns = 512;
constexpr int64_t kNear = 8;  // rows whose lines fit into the ways of one set of L1, where rows are a power of two apart

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

struct TileShape {
  int64_t rows, columns;
};

// The tiles of C that the threads take in turn: even ones, and as few as keep the threads busy, since each packs its own A and B. A step
// of k costs a tile rows * columns / nr cycles of products and about one for every number that is packed.
TileShape tile_shape(int64_t m, int64_t n, int mr, int nr, int threads) {
  constexpr double kUneven = 0.25;  // of a tile that the threads wait for each other: they are never equally fast
  TileShape best{};
  double least = 0;
  const int64_t enough = threads > 1 ? 8 * threads : 1, fewest_down = (m + kTileRows - 1) / kTileRows, fewest_across = (n + kTileColumns - 1) / kTileColumns;
  for (int64_t down = fewest_down; down == fewest_down || down * fewest_across <= enough; ++down) {
    for (int64_t across = fewest_across; across == fewest_across || down * across <= enough; ++across) {
      const TileShape shape{round_up((m + down - 1) / down, mr), round_up((n + across - 1) / across, nr)};
      const int64_t tiles = ((m + shape.rows - 1) / shape.rows) * ((n + shape.columns - 1) / shape.columns);
      const double one = static_cast<double>(shape.rows * shape.columns) / nr + static_cast<double>(shape.rows + shape.columns);
      const double all = one * (static_cast<double>((tiles + threads - 1) / threads) + (threads > 1 ? kUneven : 0));
      if (least == 0 || all < least) least = all, best = shape;
    }
  }
  return best;
}

// What the driver needs to know about an element type: how to pack strips, and the tile. `unit` is how many k one step takes.
struct F32Side {
  using T = float;
  const cpu::FloatKernels& kernels;
  static constexpr int unit = 1;
  void rows(const float* s, int64_t ld, int r, int64_t k, int w, float* o) const { kernels.pack_rows(s, ld, r, k, w, o); }
  void columns(const float* s, int64_t ld, int r, int64_t k, int w, float* o) const { kernels.pack_columns(s, ld, r, k, w, o); }
};

struct Bf16Side {
  using T = uint16_t;
  const cpu::Bf16Kernels& kernels;
  static constexpr int unit = 2;
  void rows(const uint16_t* s, int64_t ld, int r, int64_t k, int w, uint16_t* o) const { kernels.pack_rows(s, ld, r, k, w, o); }
  void columns(const uint16_t* s, int64_t ld, int r, int64_t k, int w, uint16_t* o) const { kernels.pack_columns(s, ld, r, k, w, o); }
};

// bf16 inputs where the target has no bf16 products: widened strip by strip, then the f32 tile.
struct WidenSide {
  using T = uint16_t;
  const cpu::FloatKernels& kernels;
  static constexpr int unit = 1;
  void rows(const uint16_t* s, int64_t ld, int r, int64_t k, int w, float* o) const {
    thread_local Workspace wide;
    float* f = wide.at_least<float>(static_cast<size_t>(r * k));
    for (int i = 0; i < r; ++i) kernels.from_bf16(s + i * ld, f + i * k, k);
    kernels.pack_rows(f, k, r, k, w, o);
  }
  void columns(const uint16_t* s, int64_t ld, int r, int64_t k, int w, float* o) const {
    for (int64_t p = 0; p < k; ++p, o += w) {
      kernels.from_bf16(s + p * ld, o, r);
      std::fill(o + r, o + w, 0.0f);
    }
  }
};

template <class Side>
struct Job {
  using T = typename Side::T;
  Side side;
  Transpose ta, tb;
  int64_t m, n, k;
  const T* a;
  int64_t lda;
  const T* b;
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
    using P = std::remove_pointer_t<decltype(packed())>;
    thread_local Workspace a_space, b_space;
    const int mr = side.kernels.mr, nr = side.kernels.nr;
    P* pa = a_space.at_least<P>(static_cast<size_t>((kBlockRows + mr) * kDepth));
    P* pb = b_space.at_least<P>(static_cast<size_t>(round_up(j1 - j0, nr) * kDepth));
    alignas(64) float edge[16 * 32];
    for (int64_t p0 = 0; p0 < k; p0 += kDepth) {
      int64_t depth = std::min(kDepth, k - p0), steps = (depth + Side::unit - 1) / Side::unit, padded = steps * Side::unit;
      bool load = accumulate || p0 > 0;
      for (int64_t j = j0; j < j1; j += nr) {
        int columns = static_cast<int>(std::min<int64_t>(nr, j1 - j));
        P* to = pb + (j - j0) * padded;
        if (tb == Transpose::kNo)
          side.columns(b + p0 * ldb + j, ldb, columns, depth, nr, to);
        else
          side.rows(b + j * ldb + p0, ldb, columns, depth, nr, to);
      }
      for (int64_t block = i0; block < i1; block += kBlockRows) {
        int64_t end = std::min(i1, block + kBlockRows);
        // A strip takes less than a cache line of a row of transposed A: a few rows at a time go into all strips while they are near.
        const int64_t step = ta == Transpose::kNo ? depth : kNear;
        for (int64_t p = 0; p < depth; p += step)
          for (int64_t i = block; i < end; i += mr) {
            int rows = static_cast<int>(std::min<int64_t>(mr, end - i));
            P* to = pa + (i - block) * padded + p * mr;
            if (ta == Transpose::kNo)
              side.rows(a + i * lda + p0, lda, rows, depth, mr, to);
            else
              side.columns(a + (p0 + p) * lda + i, lda, rows, std::min(step, depth - p), mr, to);
          }
        for (int64_t j = j0; j < j1; j += nr)
          for (int64_t i = block; i < end; i += mr) {
            int rows = static_cast<int>(std::min<int64_t>(mr, end - i));
            const P *left = pa + (i - block) * padded, *right = pb + (j - j0) * padded;
            float* to = c + i * ldc + j;
            if (j + nr <= j1) {
              side.kernels.tile(rows, steps, left, mr, right, to, ldc, load);
              continue;
            }
            if (load)
              for (int r = 0; r < rows; ++r) std::copy_n(to + r * ldc, j1 - j, edge + r * nr);
            side.kernels.tile(rows, steps, left, mr, right, edge, nr, load);
            for (int r = 0; r < rows; ++r) std::copy_n(edge + r * nr, j1 - j, to + r * ldc);
          }
      }
    }
  }

  auto packed() {
    if constexpr (std::is_same_v<Side, Bf16Side>)
      return static_cast<uint16_t*>(nullptr);
    else
      return static_cast<float*>(nullptr);
  }
};

template <class Side>
void run(Side side, Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const typename Side::T* a, int64_t lda,
         const typename Side::T* b, int64_t ldb, float* c, int64_t ldc, bool accumulate, ThreadTeam& team) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) {
    if (!accumulate)
      for (int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, 0.0f);
    return;
  }
  const int mr = side.kernels.mr, nr = side.kernels.nr;
  const bool alone = team.size() == 1 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < 2e5;  // a wake-up costs more
  const TileShape tile = tile_shape(m, n, mr, nr, alone ? 1 : team.size());
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

void gemm_bf16(Transpose ta, Transpose tb, int64_t m, int64_t n, int64_t k, const uint16_t* a, int64_t lda, const uint16_t* b,
               int64_t ldb, float* c, int64_t ldc, bool accumulate, ThreadTeam& team) {
  if (const cpu::Bf16Kernels* kernels = cpu::bf16_kernels())
    run(Bf16Side{*kernels}, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
  else
    run(WidenSide{cpu::float_kernels()}, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, team);
}

}  // namespace ingot
