#include "core/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/error.h"
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
  // Each on a line of its own: both sides spin on them.
  alignas(64) std::atomic<uint64_t> generation{0};
  alignas(64) std::atomic<int> running{0};
  alignas(64) std::atomic<int> sleepers{0};      // workers at `wake`
  std::atomic<bool> caller_sleeps{false};        // the caller is at `done`
  const std::function<void(int, int)>* work = nullptr;
  std::exception_ptr error;
  std::atomic<bool> stop{false};

  void call(int part, int parts) {
    try {
      (*work)(part, parts);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  }

  // Until a generation other than `seen` begins. Steps of a decoder follow each other within microseconds, so a thread looks for a
  // while before it sleeps; nobody takes a lock or asks the system on that path.
  void await(uint64_t seen) {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (generation.load(std::memory_order_acquire) != seen) return;
      __builtin_ia32_pause();
    }
    std::unique_lock lock(mutex);
    sleepers.fetch_add(1);
    wake.wait(lock, [&] { return generation.load() != seen; });
    sleepers.fetch_sub(1);
  }

  static constexpr int kSpins = 4000;  // some 50 to 100 microseconds
};

namespace {
thread_local bool inside_team = false;  // a nested loop runs on its own thread
}

ThreadTeam::ThreadTeam(int threads) : state_(new State) {
  for (int part = 1; part < threads; ++part) {
    state_->threads.emplace_back([s = state_, part, threads] {
      inside_team = true;
      for (uint64_t seen = 0;; ++seen) {
        s->await(seen);
        if (s->stop.load()) return;
        s->call(part, threads);
        if (s->running.fetch_sub(1) == 1 && s->caller_sleeps.load()) {
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
  State& s = *state_;
  std::lock_guard caller(s.callers);
  s.work = &fn;
  s.error = nullptr;
  s.running.store(parts - 1, std::memory_order_relaxed);
  s.generation.fetch_add(1);  // before `sleepers` is read: a worker counts itself before it looks at the generation again
  if (s.sleepers.load()) {
    std::lock_guard lock(s.mutex);
    s.wake.notify_all();
  }
  inside_team = true;
  s.call(0, parts);
  inside_team = false;
  for (int spin = 0; spin < State::kSpins && s.running.load(std::memory_order_acquire) != 0; ++spin) __builtin_ia32_pause();
  if (s.running.load(std::memory_order_acquire) != 0) {
    std::unique_lock lock(s.mutex);
    s.caller_sleeps = true;  // before `running` is looked at again: the last worker counts down before it looks at this
    s.done.wait(lock, [&] { return s.running.load() == 0; });
    s.caller_sleeps = false;
  }
  if (s.error) std::rethrow_exception(s.error);
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

int default_threads() {
  const char* text = std::getenv("INGOT_THREADS");
  if (!text || !*text) return available_cores();
  const std::string_view asked = text;
  int threads = 0;
  const auto [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), threads);
  if (error != std::errc() || end != asked.data() + asked.size() || threads < 1 || threads > 1024)
    throw Error(ErrorKind::environment, "\"" + std::string(asked) + "\" is no whole number from 1 to 1024", "INGOT_THREADS", "correct it, or unset it to use every core");
  return threads;
}

ThreadTeam& default_team() {
  static ThreadTeam team(default_threads());
  return team;
}

}  // namespace ingot
