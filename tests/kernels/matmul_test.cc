#include "kernels/matmul.h"

#include <cstring>

#include "closeness.h"
#include "core/error.h"
#include "core/random.h"
#include "kernels/dequantize.h"

namespace ingot {
namespace {

// Where a block's f16 numbers stand.
std::vector<int64_t> half_places(ElementType type) {
  switch (type) {
    case ElementType::kQ4_1:
    case ElementType::kQ5_1:
    case ElementType::kQ4_K:
    case ElementType::kQ5_K: return {0, 2};
    case ElementType::kQ2_K: return {80, 82};
    case ElementType::kQ3_K: return {108};
    case ElementType::kQ6_K: return {208};
    default: return {0};
  }
}

// Random blocks with sane scales: the bytes are any, the halves are set to small normal numbers.
std::vector<uint8_t> random_weights(ElementType type, int64_t n, int64_t k, Random& random) {
  std::vector<uint8_t> w(static_cast<size_t>(n * row_bytes(type, k)));
  if (block_length(type) == 1) {
    std::vector<float> row(static_cast<size_t>(k));
    for (int64_t j = 0; j < n; ++j) {
      for (float& v : row) v = static_cast<float>(random.normal());
      quantize_row(type, row.data(), w.data() + j * row_bytes(type, k), k);
    }
    return w;
  }
  for (uint8_t& byte : w) byte = static_cast<uint8_t>(random.below(256));
  for (int64_t at = 0; at < static_cast<int64_t>(w.size()); at += block_bytes(type))
    for (int64_t place : half_places(type)) {
      uint16_t bits = f16_of_f32(static_cast<float>(0.01 + 0.02 * random.uniform()) * (random.below(2) ? 1.0f : -1.0f));
      std::memcpy(w.data() + at + place, &bits, 2);
    }
  return w;
}

std::vector<float> normals(int64_t count, Random& random) {
  std::vector<float> x(static_cast<size_t>(count));
  for (float& v : x) v = static_cast<float>(random.normal());
  return x;
}

class MatmulOfType : public testing::TestWithParam<int> {
 protected:
  ElementType type() const { return static_cast<ElementType>(GetParam()); }
};

TEST_P(MatmulOfType, MatchesDoublesOnEveryTarget) {
  Random random(3);
  ThreadTeam team(2);
  struct Case {
    int64_t m, n, k;
  };
  for (const Case& s : {Case{1, 1, 256}, {1, 70, 1024}, {5, 33, 512}, {17, 64, 1280}}) {
    SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k);
    std::vector<uint8_t> w = random_weights(type(), s.n, s.k, random);
    std::vector<float> x = normals(s.m * s.k, random), row(static_cast<size_t>(s.k));
    std::vector<double> want(static_cast<size_t>(s.m * s.n)), bound(want.size());
    for (int64_t j = 0; j < s.n; ++j) {
      dequantize_row(type(), w.data() + j * row_bytes(type(), s.k), row.data(), s.k);
      for (int64_t i = 0; i < s.m; ++i) {
        double sum = 0, size = 0, noise = 0;
        for (int64_t b = 0; b < s.k; b += 32) {
          double largest = 0, squares = 0;
          for (int64_t p = b; p < b + 32; ++p) {
            double a = static_cast<double>(x[static_cast<size_t>(i * s.k + p)]), v = static_cast<double>(row[static_cast<size_t>(p)]);
            sum += a * v;
            size += std::fabs(a * v);
            largest = std::max(largest, std::fabs(a));
            squares += v * v;
          }
          noise += largest / 127 * largest / 127 / 12 * squares;  // variance of rounding x to steps of largest/127
        }
        size_t at = static_cast<size_t>(i * s.n + j);
        want[at] = sum;
        // Six standard deviations of the rounding of x where x is rounded, and the float chain's own error.
        // A block with a minimum is two large terms of opposite sign, hence the factor.
        bound[at] = (block_length(type()) == 1 ? 0 : 6 * std::sqrt(noise)) + 16 * std::sqrt(static_cast<double>(s.k)) * 0x1p-24 * size;
      }
    }
    on_every_target([&](Target) {
      std::vector<float> y(want.size());
      matmul(type(), w.data(), s.n, s.k, x.data(), s.m, y.data(), team);
      EXPECT_TRUE(close_to(y, want, bound));
    });
  }
}

// The numeric contract of the engine: alone, in a batch, with any threads, a row has the same bits.
TEST_P(MatmulOfType, RowsAreTheSameAloneAndTogether) {
  constexpr int64_t m = 19, n = 83, k = 1024;
  Random random(5);
  std::vector<uint8_t> w = random_weights(type(), n, k, random);
  std::vector<float> x = normals(m * k, random);
  on_every_target([&](Target) {
    ThreadTeam one(1), three(3);
    std::vector<float> together(m * n), alone(m * n), pieces(m * n);
    matmul(type(), w.data(), n, k, x.data(), m, together.data(), three);
    for (int64_t i = 0; i < m; ++i) matmul(type(), w.data(), n, k, x.data() + i * k, 1, alone.data() + i * n, one);
    for (int64_t i = 0; i < m; i += 7)
      matmul(type(), w.data(), n, k, x.data() + i * k, std::min<int64_t>(7, m - i), pieces.data() + i * n, three);
    EXPECT_EQ(together, alone);
    EXPECT_EQ(together, pieces);
  });
}

// Interleaved rows are the same weights in another order: the same bits, streamed (few rows) or by panels, with a broken last group.
TEST_P(MatmulOfType, InterleavedRowsGiveTheSameBits) {
  constexpr int64_t k = 1280;
  Random random(7);
  for (int64_t n : {1, 16, 83, 96}) {
    std::vector<uint8_t> w = random_weights(type(), n, k, random);
    std::vector<float> x = normals(26 * k, random);
    on_every_target([&](Target) {
      std::vector<uint8_t> laid(static_cast<size_t>(interleaved_bytes(type(), n, k)));
      interleave_groups(type(), w.data(), n, k, 0, (n + 15) / 16, laid.data());
      for (int threads : {1, 3}) {
        ThreadTeam team(threads);
        for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 9, 13, 26}) {
          std::vector<float> stored(static_cast<size_t>(m * n)), streamed(stored.size());
          matmul(type(), w.data(), n, k, x.data(), m, stored.data(), team);
          const MatmulPart part{type(), w.data(), laid.data(), n, streamed.data()};
          matmul({&part, 1}, k, x.data(), m, team);
          EXPECT_EQ(stored, streamed) << m << " x " << n;
        }
      }
    });
  }
}

// The largest weights against the largest x: 16-bit sums must not run over.
TEST_P(MatmulOfType, ExtremesAreExact) {
  if (block_length(type()) == 1) GTEST_SKIP() << "integers only";
  constexpr int64_t n = 16, k = 256;
  Random random(10);
  ThreadTeam team(1);
  for (int fill : {0x00, 0xff, 0x0f, 0xf0, 0x7f, 0x80, 0x88, 0x77}) {
    std::vector<uint8_t> w = random_weights(type(), n, k, random);
    std::vector<float> row(k);
    for (uint8_t& byte : w) byte = static_cast<uint8_t>(fill);
    const uint16_t one = f16_of_f32(1);
    for (int64_t at = 0; at < static_cast<int64_t>(w.size()); at += block_bytes(type()))
      for (int64_t place : half_places(type())) std::memcpy(w.data() + at + place, &one, 2);
    for (float sign : {1.0f, -1.0f}) {
      std::vector<float> x(k, 127 * sign), y(n);
      on_every_target([&](Target) {
        matmul(type(), w.data(), n, k, x.data(), 1, y.data(), team);
        for (int64_t j = 0; j < n; ++j) {
          dequantize_row(type(), w.data() + j * row_bytes(type(), k), row.data(), k);
          double want = 0, size = 0;
          for (float v : row) want += 127.0 * static_cast<double>(sign * v), size += 127.0 * std::fabs(static_cast<double>(v));
          EXPECT_NEAR(y[static_cast<size_t>(j)], want, 64 * 0x1p-24 * (size + 1)) << fill;
        }
      });
    }
  }
}

TEST(Matmul, ProductsOfOneInputAreTheSameTogetherAndApart) {
  constexpr int64_t k = 512;
  Random random(11);
  const ElementType types[] = {ElementType::kQ4_K, ElementType::kQ4_K, ElementType::kQ6_K, ElementType::kF16, ElementType::kQ8_0, ElementType::kQ5_1};
  const int64_t rows[] = {64, 40, 17, 24, 16, 33};
  std::vector<float> x = normals(5 * k, random);
  std::vector<std::vector<uint8_t>> w, laid;
  for (int i = 0; i < 6; ++i) w.push_back(random_weights(types[i], rows[i], k, random));
  on_every_target([&](Target) {
    ThreadTeam team(2);
    laid.clear();
    for (size_t i = 0; i < 6; ++i) {
      laid.emplace_back();
      if (i % 2) continue;
      laid[i].resize(static_cast<size_t>(interleaved_bytes(types[i], rows[i], k)));
      interleave_groups(types[i], w[i].data(), rows[i], k, 0, (rows[i] + 15) / 16, laid[i].data());
    }
    for (int64_t m : {1, 2, 5}) {
      std::vector<std::vector<float>> together(6), apart(6);
      std::vector<MatmulPart> parts;
      for (size_t i = 0; i < 6; ++i) {
        together[i].resize(static_cast<size_t>(m * rows[i]));
        apart[i].resize(together[i].size());
        parts.push_back({types[i], w[i].data(), laid[i].empty() ? nullptr : laid[i].data(), rows[i], together[i].data()});
        matmul(types[i], w[i].data(), rows[i], k, x.data(), m, apart[i].data(), team);
      }
      matmul(parts, k, x.data(), m, team);
      EXPECT_EQ(together, apart) << m;
    }
  });
}

// Integer sums are exact and the fused chain is one, so every target with FMA agrees to the bit for block types.
TEST_P(MatmulOfType, TargetsAgreeToTheBit) {
  constexpr int64_t m = 9, n = 40, k = 1024;
  if (block_length(type()) == 1) GTEST_SKIP() << "float types only promise a chain";
  Random random(6);
  std::vector<uint8_t> w = random_weights(type(), n, k, random);
  std::vector<float> x = normals(m * k, random), first;
  ThreadTeam team(2);
  on_every_target([&](Target target) {
    if (target == Target::kGeneric) return;  // no fused multiply-add
    std::vector<float> y(m * n);
    matmul(type(), w.data(), n, k, x.data(), m, y.data(), team);
    if (first.empty()) first = y;
    EXPECT_EQ(first, y);
  });
}

TEST_P(MatmulOfType, ANanReachesItsRowOnly) {
  constexpr int64_t m = 3, n = 40, k = 256;
  Random random(8);
  std::vector<uint8_t> w = random_weights(type(), n, k, random);
  std::vector<float> x = normals(m * k, random);
  x[k + 77] = std::nanf("");
  ThreadTeam team(1);
  on_every_target([&](Target) {
    std::vector<float> y(m * n);
    matmul(type(), w.data(), n, k, x.data(), m, y.data(), team);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) EXPECT_EQ(std::isnan(y[static_cast<size_t>(i * n + j)]), i == 1) << i << " " << j;
  });
}

INSTANTIATE_TEST_SUITE_P(All, MatmulOfType, testing::Range(0, kElementTypes),
                         [](const auto& info) { return std::string(element_name(static_cast<ElementType>(info.param))); });

TEST(Matmul, RefusesABrokenBlock) {
  ThreadTeam team(1);
  std::vector<uint8_t> w(1000);
  std::vector<float> x(100), y(1);
  EXPECT_THROW(matmul(ElementType::kQ4_0, w.data(), 1, 33, x.data(), 1, y.data(), team), Error);
  EXPECT_THROW(matmul(ElementType::kQ4_K, w.data(), 1, 32, x.data(), 1, y.data(), team), Error);
}

TEST(Matmul, ZeroActivationsGiveZero) {
  ThreadTeam team(1);
  Random random(9);
  std::vector<uint8_t> w = random_weights(ElementType::kQ4_1, 40, 64, random);
  std::vector<float> x(64), y(40, 1.0f);
  matmul(ElementType::kQ4_1, w.data(), 40, 64, x.data(), 1, y.data(), team);
  EXPECT_EQ(y, std::vector<float>(40, 0.0f));
}

}  // namespace
}  // namespace ingot
