#include "core/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/files.h"

namespace ingot {

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  try {  // "quota period" in microseconds, or "max period"
    std::string text = read_file("/sys/fs/cgroup/cpu.max", 4096);
    double quota = std::atof(text.c_str());
    size_t space = text.find(' ');
    double period = space == std::string::npos ? 0 : std::atof(text.c_str() + space);
    if (quota > 0 && period > 0) cores = std::min(cores, std::max(1, static_cast<int>(quota / period + 0.5)));
  } catch (const std::exception&) {
  }
  return std::max(cores, 1);
}

struct ThreadTeam::State {
  std::vector<std::thread> threads;
  std::mutex callers;  // one loop at a time
  std::mutex mutex;
  std::condition_variable wake, done;
  std::atomic<uint64_t> generation{0};
  std::atomic<int> running{0};
  const std::function<void(int, int)>* work = nullptr;
  std::exception_ptr error;
  bool stop = false;

  void call(int part, int parts) {
    try {
      (*work)(part, parts);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  }
};

namespace {
thread_local bool inside_team = false;  // a nested loop runs on its own thread
}

ThreadTeam::ThreadTeam(int threads) : state_(new State) {
  for (int part = 1; part < threads; ++part) {
    state_->threads.emplace_back([s = state_, part, threads] {
      inside_team = true;
      uint64_t seen = 0;
      for (;;) {
        // A short spin first: decode steps follow each other within microseconds.
        for (int spin = 0; spin < 2000 && s->generation.load(std::memory_order_acquire) == seen; ++spin) __builtin_ia32_pause();
        if (s->generation.load(std::memory_order_acquire) == seen) {
          std::unique_lock lock(s->mutex);
          s->wake.wait(lock, [&] { return s->stop || s->generation.load() != seen; });
          if (s->stop) return;
        }
        seen = s->generation.load();
        if (s->stop) return;
        s->call(part, threads);
        if (s->running.fetch_sub(1) == 1) {
          std::lock_guard lock(s->mutex);
          s->done.notify_one();
        }
      }
    });
  }
}

ThreadTeam::~ThreadTeam() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->generation.fetch_add(1);
  }
  state_->wake.notify_all();
  for (auto& thread : state_->threads) thread.join();
  delete state_;
}

int ThreadTeam::size() const { return static_cast<int>(state_->threads.size()) + 1; }

void ThreadTeam::run(const std::function<void(int, int)>& fn) {
  int parts = size();
  if (inside_team || parts == 1) {
    for (int part = 0; part < parts; ++part) fn(part, parts);
    return;
  }
  std::lock_guard caller(state_->callers);
  {
    std::lock_guard lock(state_->mutex);
    state_->work = &fn;
    state_->error = nullptr;
    state_->running = parts - 1;
    state_->generation.fetch_add(1, std::memory_order_release);
  }
  state_->wake.notify_all();
  inside_team = true;
  state_->call(0, parts);
  inside_team = false;
  for (int spin = 0; spin < 2000 && state_->running.load(std::memory_order_acquire) != 0; ++spin) __builtin_ia32_pause();
  std::unique_lock lock(state_->mutex);
  state_->done.wait(lock, [&] { return state_->running.load() == 0; });
  if (state_->error) std::rethrow_exception(state_->error);
}

void ThreadTeam::parallel_for(size_t count, size_t grain, const std::function<void(size_t, size_t)>& fn) {
  if (count == 0) return;
  size_t pieces = std::min<size_t>(size(), std::max<size_t>(1, count / std::max<size_t>(grain, 1)));
  if (pieces <= 1) return fn(0, count);
  run([&](int part, int) {
    size_t p = static_cast<size_t>(part);
    if (p >= pieces) return;
    size_t begin = count * p / pieces, end = count * (p + 1) / pieces;
    if (begin < end) fn(begin, end);
  });
}

ThreadTeam& default_team() {
  static ThreadTeam team([] {
    const char* text = std::getenv("INGOT_THREADS");
    int asked = text ? std::atoi(text) : 0;
    return asked > 0 ? std::min(asked, 1024) : available_cores();
  }());
  return team;
}

}  // namespace ingot
