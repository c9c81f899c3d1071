// A fixed team of threads for data-parallel loops.
#pragma once

#include <cstddef>
#include <functional>

namespace ingot {

// Cores this process may run on (affinity and cgroup quota; needs no /proc).
int available_cores();

class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);  // >= 1; the caller counts as one
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;

  int size() const;

  // Calls fn(part, parts) once per part on the team and waits; parts == size(). One caller at a time (others wait).
  // An exception of a part is rethrown here.
  void run(const std::function<void(int part, int parts)>& fn);

  // Splits [0, count) into contiguous ranges, at least `grain` long, and calls fn(begin, end).
  void parallel_for(size_t count, size_t grain, const std::function<void(size_t begin, size_t end)>& fn);

 private:
  struct State;
  State* state_;  // owns
};

// Threads of the process-wide team: available_cores(), or INGOT_THREADS. Throws Error (environment) where that is no number from 1 to 1024.
int default_threads();
// Made at first use.
ThreadTeam& default_team();

}  // namespace ingot
