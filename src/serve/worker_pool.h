// Threads that handlers wait on models in; made when they are needed, kept for the next request.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ingot {

class WorkerPool {
 public:
  explicit WorkerPool(size_t most) : most_(most) {}
  ~WorkerPool() { finish(); }

  // False when `most` tasks run already; the task is then untouched. An exception of a task ends the process: catch inside.
  bool run(std::function<void()> task);
  void finish();  // waits for all tasks; later ones are refused
  size_t running() const;

 private:
  void work();
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  size_t most_, idle_ = 0;
  bool finished_ = false;
};

}  // namespace ingot
