#include "serve/worker_pool.h"

#include <utility>

namespace ingot {

bool WorkerPool::run(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (finished_) return false;
  if (idle_ <= tasks_.size()) {
    if (threads_.size() >= most_) return false;
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // the machine has no thread left: as good as busy
      return false;
    }
  }
  tasks_.push_back(std::move(task));
  wake_.notify_one();
  return true;
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [&] { return finished_ || !tasks_.empty(); });
    --idle_;
    if (tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the thread counts as free
    lock.lock();
  }
}

void WorkerPool::finish() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
    threads.swap(threads_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

size_t WorkerPool::running() const {
  std::lock_guard lock(mutex_);
  return threads_.size() - idle_;
}

}  // namespace ingot
