#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/random.h"

namespace ingot {
namespace {

TEST(Gemm, SmallByHand) {
  ThreadTeam team(2);
  std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {1, 0, 2, 1, 0, 3}, c(4, 1.0f);
  gemm_f32(Transpose::kNo, Transpose::kNo, 2, 2, 3, a.data(), 3, b.data(), 2, c.data(), 2, false, team);
  EXPECT_EQ(c, (std::vector<float>{5, 11, 14, 23}));
  gemm_f32(Transpose::kNo, Transpose::kNo, 2, 2, 3, a.data(), 3, b.data(), 2, c.data(), 2, true, team);
  EXPECT_EQ(c, (std::vector<float>{10, 22, 28, 46}));
}

}  // namespace
}  // namespace ingot
