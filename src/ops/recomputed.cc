#include <cstring>

#include "ops/ops.h"

namespace ingot {

Tensor recomputed(const Context& c, Tensor x, std::function<Tensor(const Context& c, Tensor x)> block) {
  Tensor y = c.make(x.rows, x.cols);
  {
    // Under a tape that is thrown away: operations then compute as they do again below, to the bit.
    auto mark = c.arena.mark();
    Tape forgotten;
    Context once = c;
    once.tape = &forgotten;
    Tensor result = block(once, x);
    std::memcpy(y.data, result.data, static_cast<size_t>(y.size()) * sizeof(float));
    c.arena.release(mark);
  }
  c.tape->record([c, x, y, block = std::move(block)] {
    auto mark = c.arena.mark();
    Tape again;
    Context inner = c;
    inner.tape = &again;
    Tensor result = block(inner, x);
    std::memcpy(result.grad, y.grad, static_cast<size_t>(y.size()) * sizeof(float));
    again.backward();
    c.arena.release(mark);
  });
  return y;
}

}  // namespace ingot
