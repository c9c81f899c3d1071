#include "core/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error.h"

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

TEST(DefaultThreads, AreWhatTheVariableSaysOrItIsRefused) {
  const char* before = std::getenv("INGOT_THREADS");
  const std::string kept = before ? before : "";
  for (const char* good : {"1", "2", "1024"}) {
    setenv("INGOT_THREADS", good, 1);
    EXPECT_EQ(default_threads(), std::atoi(good));
  }
  setenv("INGOT_THREADS", "", 1);
  EXPECT_EQ(default_threads(), available_cores());
  for (const char* bad : {"abc", "0", "-1", "1e9", "1025", "99999999999999999999", "2 ", " 2", "2.5", "0x2"}) {
    setenv("INGOT_THREADS", bad, 1);
    try {
      default_threads();
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::environment);
      EXPECT_EQ(std::string(error.what()), "INGOT_THREADS: \"" + std::string(bad) + "\" is no whole number from 1 to 1024; correct it, or unset it to use every core");
    }
  }
  if (before) setenv("INGOT_THREADS", kept.c_str(), 1);
  else unsetenv("INGOT_THREADS");
}

}  // namespace ingot
