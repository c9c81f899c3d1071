#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ingot {
namespace {

TEST(Sampler, KeepsToItsDistribution) {
  Sampling options;
  options.temperature = 1;
  options.seed = 3;
  const int32_t prompt[] = {0};
  Sampler sampler(options, prompt);
  int counts[4] = {};
  for (int i = 0; i < 40000; ++i) {
    float logits[4] = {0, std::log(2.0f), std::log(4.0f), -1e9f};
    ++counts[sampler.sample(logits)];
  }
  EXPECT_NEAR(counts[0] / 40000.0, 1 / 7.0, 0.01);
  EXPECT_NEAR(counts[1] / 40000.0, 2 / 7.0, 0.01);
  EXPECT_NEAR(counts[2] / 40000.0, 4 / 7.0, 0.01);
  EXPECT_EQ(counts[3], 0);
}

}  // namespace
}  // namespace ingot
