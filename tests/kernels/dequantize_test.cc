#include "kernels/dequantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

namespace ingot {
namespace {

struct Record {
  ElementType type;
  std::vector<float> values;
  std::vector<uint8_t> bytes;
};

// Written by tools/make_dequantize_goldens.py, which gives the layout.
std::vector<Record> read_goldens(const char* name) {
  std::string text = read_file(std::string(INGOT_TEST_DATA) + "/kernels/data/" + name);
  std::vector<Record> records;
  size_t at = 0;
  auto word = [&] {
    uint32_t value = 0;
    std::memcpy(&value, text.data() + at, 4);
    at += 4;
    return value;
  };
  while (at < text.size()) {
    Record r;
    r.type = element_type_of_gguf(word()).value();
    r.values.resize(word());
    std::memcpy(r.values.data(), text.data() + at, r.values.size() * 4);
    at += r.values.size() * 4;
    r.bytes.resize(word());
    std::memcpy(r.bytes.data(), text.data() + at, r.bytes.size());
    at += r.bytes.size();
    records.push_back(std::move(r));
  }
  return records;
}

TEST(Dequantize, EqualsTheGgufPackageToTheBit) {
  std::vector<Record> records = read_goldens("dequantize.bin");
  EXPECT_EQ(records.size(), 14u);
  for (const Record& r : records) {
    SCOPED_TRACE(std::string(element_name(r.type)));
    auto n = static_cast<int64_t>(r.values.size());
    ASSERT_EQ(row_bytes(r.type, n), static_cast<int64_t>(r.bytes.size()));
    std::vector<float> got(r.values.size());
    dequantize_row(r.type, r.bytes.data(), got.data(), n);
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], r.values[i]) << i;
  }
}

TEST(Quantize, EqualsTheGgufPackageToTheBit) {
  std::vector<Record> records = read_goldens("quantize.bin");
  EXPECT_EQ(records.size(), 7u);
  for (const Record& r : records) {
    SCOPED_TRACE(std::string(element_name(r.type)));
    ASSERT_TRUE(can_quantize(r.type));
    std::vector<uint8_t> got(r.bytes.size());
    quantize_row(r.type, r.values.data(), got.data(), static_cast<int64_t>(r.values.size()));
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], r.bytes[i]) << "byte " << i;
  }
}

TEST(Quantize, HalvesRoundTripThroughAllBits) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float value = f32_of_f16(static_cast<uint16_t>(bits));
    if (value != value)
      EXPECT_NE(f32_of_f16(f16_of_f32(value)), f32_of_f16(f16_of_f32(value)));
    else
      ASSERT_EQ(f16_of_f32(value), bits);
  }
}

// What is fitted: levels, the elements that share a scale, and whether there is a minimum.
struct Fitted {
  ElementType type;
  int low, high, part;
  bool minimum;
};
constexpr Fitted kFitted[] = {{ElementType::kQ2_K, 0, 3, 16, true},   {ElementType::kQ3_K, -4, 3, 16, false}, {ElementType::kQ4_K, 0, 15, 32, true},
                              {ElementType::kQ5_K, 0, 31, 32, true},  {ElementType::kQ6_K, -32, 31, 16, false}, {ElementType::kIQ4_NL, -8, 7, 32, false},
                              {ElementType::kIQ4_XS, -8, 7, 32, false}};

// The plain choice with scales that nothing rounds: the extreme becomes the lowest level, or the extremes the two ends.
double plain_error(const Fitted& f, std::span<const float> x) {
  double sum = 0;
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(f.part)) {
    auto part = x.subspan(at, static_cast<size_t>(f.part));
    double low = 0, high = 0, extreme = 0;
    for (float v : part) {
      low = std::min<double>(low, v), high = std::max<double>(high, v);
      if (std::fabs(v) > std::fabs(extreme)) extreme = v;
    }
    const double step = f.minimum ? (high - low) / f.high : extreme / f.low, offset = f.minimum ? low : 0;
    for (float v : part) {
      const double q = step != 0 ? std::clamp(std::nearbyint((v - offset) / step), double(f.low), double(f.high)) : 0;
      sum += (q * step + offset - v) * (q * step + offset - v);
    }
  }
  return sum;
}

double fitted_error(ElementType type, std::span<const float> x, const float* importance = nullptr, std::span<const float> cost = {}) {
  std::vector<uint8_t> bytes(static_cast<size_t>(row_bytes(type, static_cast<int64_t>(x.size()))));
  std::vector<float> y(x.size());
  quantize_row(type, x.data(), bytes.data(), static_cast<int64_t>(x.size()), importance);
  dequantize_row(type, bytes.data(), y.data(), static_cast<int64_t>(x.size()));
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double off = static_cast<double>(y[i]) - static_cast<double>(x[i]);
    sum += off * off * (cost.empty() ? 1.0 : static_cast<double>(cost[i]));
  }
  return sum;
}

// gguf has no writer for these; the plain choice is the yardstick, though its scales cost no bits.
TEST(Quantize, FittedBlocksLoseNoMoreThanThePlainChoice) {
  Random random(4);
  for (const Fitted& f : kFitted) {
    SCOPED_TRACE(std::string(element_name(f.type)));
    double plain = 0, fitted = 0;
    for (int round = 0; round < 200; ++round) {
      std::vector<float> x(256);
      const double spread = std::exp(random.normal());  // far from where halves lose their bits
      for (float& v : x) v = static_cast<float>(random.normal());
      const double one = plain_error(f, x);
      for (float& v : x) v = static_cast<float>(v * spread);
      plain += one, fitted += fitted_error(f.type, x) / (spread * spread);
    }
    EXPECT_LE(fitted, plain);
    EXPECT_GE(fitted, 0.2 * plain);  // a measure that saw nothing would say zero
  }
}

TEST(Quantize, ImportanceMovesTheErrorToWhereItCostsLess) {
  Random random(9);
  for (ElementType type : {ElementType::kQ4_0, ElementType::kQ4_1, ElementType::kQ5_0, ElementType::kQ5_1, ElementType::kQ2_K, ElementType::kQ3_K, ElementType::kQ4_K,
                           ElementType::kQ5_K, ElementType::kQ6_K, ElementType::kIQ4_NL, ElementType::kIQ4_XS}) {
    SCOPED_TRACE(std::string(element_name(type)));
    double with = 0, without = 0;
    for (int round = 0; round < 100; ++round) {
      std::vector<float> x(256), cost(256);
      for (float& v : x) v = static_cast<float>(random.normal());
      for (float& v : cost) v = random.uniform() < 0.1 ? 100.0f : 1.0f;
      with += fitted_error(type, x, cost.data(), cost), without += fitted_error(type, x, nullptr, cost);
    }
    EXPECT_LT(with, 0.97 * without);
  }
}

TEST(Quantize, OddBlocksStayFinite) {
  std::vector<std::vector<float>> blocks(5, std::vector<float>(256, 0.0f));
  std::fill(blocks[1].begin(), blocks[1].end(), 3.5f);
  std::fill(blocks[2].begin(), blocks[2].end(), -3.5f);
  blocks[3][17] = 1e-38f;
  for (size_t i = 0; i < 256; ++i) blocks[4][i] = i % 2 ? 6e4f : -6e4f;
  const std::vector<float> nothing(256, 0.0f);
  for (int t = 0; t < kElementTypes; ++t) {
    const auto type = static_cast<ElementType>(t);
    for (const auto& x : blocks)
      for (const float* importance : {static_cast<const float*>(nullptr), nothing.data()}) {
        SCOPED_TRACE(std::string(element_name(type)));
        EXPECT_TRUE(std::isfinite(fitted_error(type, x, importance)));
      }
    EXPECT_LE(fitted_error(type, blocks[1]), 256 * 3.5 * 3.5 * 0.01);
  }
}

TEST(Quantize, RefusesABrokenBlock) {
  float x[256] = {};
  uint8_t out[256];
  EXPECT_THROW(quantize_row(ElementType::kQ2_K, x, out, 255), Error);
  EXPECT_THROW(quantize_row(ElementType::kQ8_0, x, out, 31), Error);
}

}  // namespace
}  // namespace ingot
