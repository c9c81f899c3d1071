// What an operation runs in: threads, memory for results, and the tape when gradients are wanted. No hidden globals.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/threads.h"

namespace ingot {

// Results live here until release(); after the first pass nothing is asked of the system any more.
class Arena {
 public:
  // `count` floats aligned to 64 bytes, not cleared.
  float* floats(int64_t count);
  struct Mark {
    size_t chunk = 0, used = 0;
  };
  Mark mark() const { return at_; }
  void release(Mark mark) { at_ = mark; }  // everything taken since is gone
  size_t capacity_bytes() const;

 private:
  struct Free {
    void operator()(float* p) const;
  };
  struct Chunk {
    std::unique_ptr<float, Free> data;
    size_t floats = 0;
  };
  std::vector<Chunk> chunks_;
  Mark at_;
};

// rows x cols f32, row-major, in an arena. grad has the same shape and starts at zero; null when no gradient is wanted.
struct Tensor {
  float* data = nullptr;
  float* grad = nullptr;
  int64_t rows = 0, cols = 0;

  float* row(int64_t r) const { return data + r * cols; }
  float* grad_row(int64_t r) const { return grad + r * cols; }
  int64_t size() const { return rows * cols; }
};

// Operations append how their gradient is computed; backward() runs that in reverse and forgets it.
class Tape {
 public:
  void record(std::function<void()> backward) { steps_.push_back(std::move(backward)); }
  void backward();
  size_t size() const { return steps_.size(); }

 private:
  std::vector<std::function<void()>> steps_;
};

struct Upcoming;
struct Weight;

struct Context {
  ThreadTeam& team;
  Arena& arena;
  Tape* tape = nullptr;    // null: inference
  bool bf16 = false;       // products of f32 weights in bf16 with f32 sums (training)
  bool recompute = false;  // keep a block's input alone and run the block again for its gradient: less memory, a third more work

  const std::function<void(const Weight& w, const Tensor& x)>* observe = nullptr;  // sees what every product takes; null: nobody

  std::span<const Upcoming> upcoming = {};  // memory that is read after the products, which have it fetched meanwhile

  Tensor make(int64_t rows, int64_t cols) const;  // with a cleared gradient when there is a tape
};

}  // namespace ingot
