#include "ops/context.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace ingot {

void Arena::Free::operator()(float* p) const { std::free(p); }

float* Arena::floats(int64_t count) {
  auto need = (static_cast<size_t>(count) + 15) / 16 * 16;
  while (at_.chunk < chunks_.size() && at_.used + need > chunks_[at_.chunk].floats) at_ = {at_.chunk + 1, 0};
  if (at_.chunk == chunks_.size()) {
    constexpr size_t kHuge = size_t{2} << 20;  // bytes; whole huge pages: fewer faults, fewer misses of the address cache
    size_t size = (std::max(need * sizeof(float), 2 * kHuge) + kHuge - 1) / kHuge * kHuge / sizeof(float);
    auto* data = static_cast<float*>(std::aligned_alloc(kHuge, size * sizeof(float)));
    if (!data) throw std::bad_alloc();
    madvise(data, size * sizeof(float), MADV_HUGEPAGE);
    chunks_.push_back({std::unique_ptr<float, Free>(data), size});
  }
  float* p = chunks_[at_.chunk].data.get() + at_.used;
  at_.used += need;
  return p;
}

size_t Arena::capacity_bytes() const {
  size_t sum = 0;
  for (const Chunk& chunk : chunks_) sum += chunk.floats * sizeof(float);
  return sum;
}

void Tape::backward() {
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) (*step)();
  steps_.clear();
}

Tensor Context::make(int64_t rows, int64_t cols) const {
  Tensor t{arena.floats(rows * cols), nullptr, rows, cols};
  if (tape) {
    t.grad = arena.floats(rows * cols);
    float* grad = t.grad;
    team.parallel_for(static_cast<size_t>(t.size()), 1 << 16,
                      [grad](size_t b, size_t e) { std::memset(grad + b, 0, (e - b) * sizeof(float)); });
  }
  return t;
}

}  // namespace ingot
