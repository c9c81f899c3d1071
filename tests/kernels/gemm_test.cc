#include "kernels/gemm.h"

#include "closeness.h"
#include "core/random.h"
#include "tensor/element_type.h"

namespace ingot {
namespace {

struct Case {
  int64_t m, n, k;
};
constexpr Case kCases[] = {{1, 1, 1}, {1, 32, 7}, {3, 33, 17}, {12, 32, 256}, {13, 65, 257}, {50, 31, 300}, {300, 129, 70}, {24, 520, 513}};

struct Problem {
  std::vector<float> a, b, c;
  std::vector<double> want, size;  // size: sum of |products|
};

float stored(const std::vector<float>& x, bool transposed, int64_t row, int64_t column, int64_t ld) {
  return x[static_cast<size_t>(transposed ? column * ld + row : row * ld + column)];
}

// Strides are a little longer than the rows, so that a kernel that ignores them fails.
Problem make(const Case& s, bool ta, bool tb, bool accumulate, bool bf16) {
  Random random(static_cast<uint64_t>(s.m * 1000003 + s.n * 1009 + s.k));
  Problem p;
  int64_t lda = (ta ? s.m : s.k) + 3, ldb = (tb ? s.k : s.n) + 5;
  p.a.resize(static_cast<size_t>((ta ? s.k : s.m) * lda));
  p.b.resize(static_cast<size_t>((tb ? s.n : s.k) * ldb));
  for (auto* x : {&p.a, &p.b})
    for (float& v : *x) {
      v = static_cast<float>(random.normal());
      if (bf16) v = f32_of_bf16(bf16_of_f32(v));
    }
  p.c.resize(static_cast<size_t>(s.m * s.n));
  for (float& v : p.c) v = static_cast<float>(random.normal());
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = accumulate ? static_cast<double>(p.c[static_cast<size_t>(i * s.n + j)]) : 0, size = std::fabs(sum);
      for (int64_t q = 0; q < s.k; ++q) {
        double term = static_cast<double>(stored(p.a, ta, i, q, lda)) * static_cast<double>(stored(p.b, tb, q, j, ldb));
        sum += term;
        size += std::fabs(term);
      }
      p.want.push_back(sum);
      p.size.push_back(size);
    }
  return p;
}

// A chain of k roundings errs by at most k eps sum|terms|; in practice by about sqrt(k), so 4 sqrt(k) + 2 leaves no room for a fault.
std::vector<double> bounds(const Problem& p, int64_t k, double epsilon) {
  std::vector<double> out;
  for (double size : p.size) out.push_back((4 * std::sqrt(static_cast<double>(k)) + 2) * epsilon * size);
  return out;
}

TEST(Gemm, SmallByHand) {
  on_every_target([](Target) {
    ThreadTeam team(2);
    std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {1, 0, 2, 1, 0, 3}, c(4, 1.0f);
    gemm_f32(Transpose::kNo, Transpose::kNo, 2, 2, 3, a.data(), 3, b.data(), 2, c.data(), 2, false, team);
    EXPECT_EQ(c, (std::vector<float>{5, 11, 14, 23}));
    gemm_f32(Transpose::kNo, Transpose::kNo, 2, 2, 3, a.data(), 3, b.data(), 2, c.data(), 2, true, team);
    EXPECT_EQ(c, (std::vector<float>{10, 22, 28, 46}));
  });
}

TEST(Gemm, NothingToSumClearsOrKeeps) {
  ThreadTeam team(1);
  std::vector<float> c(4, 3.0f);
  gemm_f32(Transpose::kNo, Transpose::kNo, 2, 2, 0, nullptr, 0, nullptr, 0, c.data(), 2, true, team);
  EXPECT_EQ(c, std::vector<float>(4, 3.0f));
  gemm_f32(Transpose::kNo, Transpose::kNo, 2, 2, 0, nullptr, 0, nullptr, 0, c.data(), 2, false, team);
  EXPECT_EQ(c, std::vector<float>(4, 0.0f));
}

class GemmTransposed : public testing::TestWithParam<int> {};

TEST_P(GemmTransposed, MatchesDoublesOnEveryTarget) {
  bool ta = GetParam() & 1, tb = GetParam() & 2, accumulate = GetParam() & 4, bf16 = GetParam() & 8;
  auto t = [](bool yes) { return yes ? Transpose::kYes : Transpose::kNo; };
  ThreadTeam team(3);
  for (const Case& s : kCases) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    Problem p = make(s, ta, tb, accumulate, bf16);
    int64_t lda = (ta ? s.m : s.k) + 3, ldb = (tb ? s.k : s.n) + 5;
    on_every_target([&](Target) {
      std::vector<float> c = p.c;
      if (bf16) {
        gemm_bf16(t(ta), t(tb), s.m, s.n, s.k, p.a.data(), lda, p.b.data(), ldb, c.data(), s.n, accumulate, team);
      } else {
        gemm_f32(t(ta), t(tb), s.m, s.n, s.k, p.a.data(), lda, p.b.data(), ldb, c.data(), s.n, accumulate, team);
      }
      EXPECT_TRUE(close_to(c, p.want, bounds(p, s.k, 0x1p-24)));
    });
  }
}
INSTANTIATE_TEST_SUITE_P(All, GemmTransposed, testing::Range(0, 16));

std::vector<float> normals(size_t count, Random& random) {
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

// The numeric contract: a row's bits depend on neither the other rows nor the threads.
TEST(Gemm, RowsAreTheSameAloneAndTogether) {
  constexpr int64_t m = 37, n = 100, k = 600;
  Random random(7);
  const std::vector<float> a = normals(m * k, random), b = normals(k * n, random);
  on_every_target([&](Target) {
    ThreadTeam one(1), three(3);
    std::vector<float> together(m * n), alone(m * n);
    gemm_f32(Transpose::kNo, Transpose::kNo, m, n, k, a.data(), k, b.data(), n, together.data(), n, false, three);
    for (int64_t i = 0; i < m; ++i)
      gemm_f32(Transpose::kNo, Transpose::kNo, 1, n, k, a.data() + i * k, k, b.data(), n, alone.data() + i * n, n, false, one);
    EXPECT_EQ(together, alone);
  });
}

// What the product rounds itself is what was rounded before it, and its rows keep the contract, too.
TEST(Gemm, Bf16RoundsItsInputsAndKeepsRows) {
  constexpr int64_t m = 45, n = 70, k = 331;
  Random random(8);
  const std::vector<float> a = normals(m * k, random), b = normals(k * n, random);
  std::vector<float> a_rounded = a, b_rounded = b;
  for (auto* x : {&a_rounded, &b_rounded})
    for (float& v : *x) v = f32_of_bf16(bf16_of_f32(v));
  on_every_target([&](Target) {
    ThreadTeam one(1), three(3);
    std::vector<float> got(m * n), rounded(m * n), alone(m * n);
    gemm_bf16(Transpose::kNo, Transpose::kNo, m, n, k, a.data(), k, b.data(), n, got.data(), n, false, three);
    gemm_bf16(Transpose::kNo, Transpose::kNo, m, n, k, a_rounded.data(), k, b_rounded.data(), n, rounded.data(), n, false, three);
    for (int64_t i = 0; i < m; ++i)
      gemm_bf16(Transpose::kNo, Transpose::kNo, 1, n, k, a.data() + i * k, k, b.data(), n, alone.data() + i * n, n, false, one);
    EXPECT_EQ(got, rounded);
    EXPECT_EQ(got, alone);
  });
}

TEST(Comparator, CatchesNanSignScaleAndLength) {
  Problem p = make({5, 40, 64}, false, false, false, false);
  std::vector<double> bound = bounds(p, 64, 0x1p-24);
  std::vector<float> right(p.want.begin(), p.want.end());
  EXPECT_TRUE(close_to(right, p.want, bound));
  auto spoilt = [&](size_t i, float value) {
    std::vector<float> c = right;
    c[i] = value;
    return c;
  };
  EXPECT_FALSE(close_to(spoilt(11, std::nanf("")), p.want, bound));
  EXPECT_FALSE(close_to(spoilt(12, INFINITY), p.want, bound));
  EXPECT_FALSE(close_to(spoilt(13, -right[13]), p.want, bound));
  std::vector<float> scaled = right;  // the whole result: a single small element may sit inside its own rounding
  for (float& v : scaled) v *= 1.001f;
  EXPECT_FALSE(close_to(scaled, p.want, bound));
  std::vector<double> nan_reference = p.want;
  nan_reference[3] = NAN;
  EXPECT_FALSE(close_to(right, nan_reference, bound));
  right.pop_back();
  EXPECT_FALSE(close_to(right, p.want, bound));
}

}  // namespace
}  // namespace ingot
