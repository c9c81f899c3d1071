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

struct QuantJob {
  ElementType type;
  const uint8_t* w;
  int64_t stride, n, k, m;
  const float* x;
  float* y;
  cpu::QuantForm form;
  const cpu::QuantKernels& kernels;
  int8_t* quants;
  float* scales;
  int32_t* start;
  float* sums;
  int64_t panels, grab;
  std::atomic<int64_t> next{0};

  void quantize(int64_t i) {
    int64_t blocks = k / 32, parts = i * blocks * form.sub;
    cpu::quantize_activations(form, x + i * k, k, quants + i * k, scales + i * blocks, start + parts, sums + parts);
  }

  void work() {
    thread_local Workspace space;
    const int64_t depth_max = std::min(kQuantDepth, k), blocks_max = depth_max / 32;
    uint8_t* q = space.at_least<uint8_t>(static_cast<size_t>(depth_max * 32 + 2 * blocks_max * form.sub * 32 * 4));
    float* s = reinterpret_cast<float*>(q + depth_max * 32);
    float* mins = s + blocks_max * form.sub * 32;
    alignas(64) float edge[8 * 32];
    for (int64_t first; (first = next.fetch_add(grab, std::memory_order_relaxed)) < panels;)
      for (int64_t panel = first; panel < std::min(panels, first + grab); ++panel) {
        const int64_t j = panel * cpu::kPanelRows;
        const int rows_w = static_cast<int>(std::min<int64_t>(cpu::kPanelRows, n - j));
        for (int64_t k0 = 0; k0 < k; k0 += kQuantDepth) {
          const int64_t depth = std::min(kQuantDepth, k - k0), blocks = depth / 32;
          kernels.pack(type, w + j * stride, stride, rows_w, k0, depth, stride * cpu::kPanelRows, q, s, form.minima ? mins : nullptr);
          cpu::Panel p = {q, s, mins, depth * 16, blocks * form.sub * 16};
          for (int64_t i = 0; i < m; i += kernels.mr) {
            const int rows = static_cast<int>(std::min<int64_t>(kernels.mr, m - i));
            const int64_t at = i * (k / 32) + k0 / 32;
            cpu::Activations a = {quants + i * k + k0, scales + at, start + at * form.sub, sums + at * form.sub, k, k / 32};
            float* to = y + i * n + j;
            if (rows_w == cpu::kPanelRows) {
              kernels.tile(form, rows, blocks, p, a, to, n, k0 > 0);
              continue;
            }
            if (k0 > 0)
              for (int r = 0; r < rows; ++r) std::copy_n(to + r * n, rows_w, edge + r * 32);
            kernels.tile(form, rows, blocks, p, a, edge, 32, k0 > 0);
            for (int r = 0; r < rows; ++r) std::copy_n(edge + r * 32, rows_w, to + r * n);
          }
        }
      }
  }
};

// Panels a thread takes at once: large enough to amortise the counter, small enough to balance.
int64_t grab_size(int64_t panels, int threads) { return std::clamp<int64_t>(panels / (8 * threads), 1, 16); }

void quant_matmul(ElementType type, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team) {
  thread_local Workspace space;
  const cpu::QuantForm form = cpu::quant_form(type);
  const int64_t blocks = m * (k / 32), parts = blocks * form.sub;
  int8_t* quants = space.at_least<int8_t>(static_cast<size_t>(m * k + blocks * 4 + parts * 8));
  float* scales = reinterpret_cast<float*>(quants + m * k);
  int32_t* start = reinterpret_cast<int32_t*>(scales + blocks);
  float* sums = reinterpret_cast<float*>(start + parts);
  const int64_t panels = (n + cpu::kPanelRows - 1) / cpu::kPanelRows;
  QuantJob job{type,   static_cast<const uint8_t*>(w), row_bytes(type, k), n,     k,    m,      x, y, form, cpu::quant_kernels(), quants,
               scales, start,                          sums,               panels, grab_size(panels, team.size())};
  if (m * k > 65536)
    team.run([&job](int part, int parts_) {
      for (int64_t i = job.m * part / parts_; i < job.m * (part + 1) / parts_; ++i) job.quantize(i);
    });
  else
    for (int64_t i = 0; i < m; ++i) job.quantize(i);
  if (n * k * m < 65536) return job.work();  // a wake-up costs more
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

void matmul(ElementType wtype, const void* w, int64_t n, int64_t k, const float* x, int64_t m, float* y, ThreadTeam& team) {
  row_bytes(wtype, k);  // refuses a broken block
  if (m <= 0 || n <= 0) return;
  if (k == 0) return static_cast<void>(std::fill_n(y, m * n, 0.0f));
  if (block_length(wtype) == 1)
    float_matmul(wtype, w, n, k, x, m, y, team);
  else
    quant_matmul(wtype, w, n, k, x, m, y, team);
}

}  // namespace ingot
