#include "core/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace ingot {

TEST(ThreadTeam, VisitsEachIndexOnce) {
  ThreadTeam team(3);
  for (size_t count : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> seen(count);
    team.parallel_for(count, 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) ++seen[i];
    });
    for (auto& n : seen) EXPECT_EQ(n, 1);
  }
}

TEST(ThreadTeam, RethrowsAndStaysUsable) {
  ThreadTeam team(2);
  EXPECT_THROW(team.run([](int part, int) {
    if (part == 1) throw std::runtime_error("part");
  }), std::runtime_error);
  std::atomic<int> calls = 0;
  team.run([&](int, int) { ++calls; });
  EXPECT_EQ(calls, 2);
}

}  // namespace ingot
