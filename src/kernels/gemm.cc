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

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

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
        for (int64_t i = block; i < end; i += mr) {
          int rows = static_cast<int>(std::min<int64_t>(mr, end - i));
          P* to = pa + (i - block) * padded;
          if (ta == Transpose::kNo)
            side.rows(a + i * lda + p0, lda, rows, depth, mr, to);
          else
            side.columns(a + p0 * lda + i, lda, rows, depth, mr, to);
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
  int64_t rows = std::min(kTileRows, round_up(m, mr)), columns = std::min(kTileColumns, round_up(n, nr));
  auto count = [&] { return ((m + rows - 1) / rows) * ((n + columns - 1) / columns); };
  if (team.size() > 1) {  // smaller tiles until every thread has a few; below these sizes packing would outweigh the balance
    int64_t wanted = 4 * team.size();
    while (count() < wanted && rows > kBlockRows) rows = std::max<int64_t>(round_up(rows / 2, mr), kBlockRows);
    while (count() < wanted && columns > 2 * nr && columns > 128) columns = round_up(columns / 2, nr);
    while (count() < team.size() && rows > 4 * mr) rows = round_up(rows / 2, mr);
    while (count() < team.size() && columns > nr) columns = round_up(columns / 2, nr);
  }
  Job<Side> job{side, ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate, rows, columns, (n + columns - 1) / columns, count()};
  if (job.tiles == 1 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < 2e5)
    return job.work();  // a wake-up costs more
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
