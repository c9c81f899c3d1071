#include "ops/interleave.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/huge_memory.h"
#include "kernels/matmul.h"

namespace ingot {
namespace {

constexpr int64_t kGroups = 32;  // groups that a thread takes at once

}  // namespace

bool interleave(std::span<Weight* const> weights, ThreadTeam& team) {
  struct Piece {
    Weight* weight;
    int64_t at, groups, bytes;
  };
  std::vector<Piece> pieces;
  int64_t total = 0, jobs = 0;
  for (Weight* w : weights) {
    if (w->rows < 2 || w->interleaved_rows()) continue;
    const int64_t bytes = interleaved_bytes(w->type, w->rows, w->cols), groups = (w->rows + 15) / 16;
    pieces.push_back({w, total, groups, bytes});
    total += (bytes + 127) / 128 * 128;
    jobs += (groups + kGroups - 1) / kGroups;
  }
  if (!total) return true;
  const std::shared_ptr<std::byte> memory = huge_memory(static_cast<size_t>(total));
  if (!memory) return false;
  std::atomic<int64_t> next{0};
  team.run([&](int, int) {
    for (int64_t job; (job = next.fetch_add(1)) < jobs;) {
      int64_t left = job;
      for (const Piece& p : pieces) {
        const int64_t here = (p.groups + kGroups - 1) / kGroups;
        if (left < here) {
          interleave_groups(p.weight->type, p.weight->data, p.weight->rows, p.weight->cols, left * kGroups, std::min(p.groups, (left + 1) * kGroups),
                            memory.get() + p.at);
          break;
        }
        left -= here;
      }
    }
  });
  for (const Piece& p : pieces) {
    p.weight->interleaved = std::shared_ptr<const std::byte>(memory, memory.get() + p.at);
    p.weight->interleaved_from = p.weight->data;
  }
  return true;
}

}  // namespace ingot
