#include "kernels/dequantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
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
  EXPECT_EQ(records.size(), 5u);
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

// gguf has no writer for these, so the bound comes from the format: half a step, plus what rounding the scale and the minimum to their
// few bits (half a unit each, times the largest level) and the unit itself to a half (2^-11 of it) can add.
TEST(Quantize, SuperBlocksStayWithinTheirSteps) {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> x(256), y(256);
    const double spread = std::exp(4 * random.normal()), middle = spread * random.normal();
    for (size_t i = 0; i < 256; ++i) x[i] = static_cast<float>(middle + spread * random.normal() * (1 + static_cast<double>(i / 32)));
    if (round == 0) std::fill(x.begin(), x.begin() + 64, 0.0f);
    std::vector<uint8_t> bytes(256);
    for (ElementType type : {ElementType::kQ4_K, ElementType::kQ6_K}) {
      SCOPED_TRACE(std::string(element_name(type)));
      const size_t part = type == ElementType::kQ4_K ? 32 : 16;
      std::vector<double> step(256 / part);
      double largest_step = 0, largest_depth = 0;
      for (size_t j = 0; j < step.size(); ++j) {
        auto [low, high] = std::minmax_element(x.begin() + static_cast<long>(j * part), x.begin() + static_cast<long>((j + 1) * part));
        double l = static_cast<double>(*low), h = static_cast<double>(*high), depth = std::max(0.0, -l);
        step[j] = type == ElementType::kQ4_K ? std::max(0.0, h + depth) / 15 : std::max(std::fabs(l), std::fabs(h)) / 32;
        largest_step = std::max(largest_step, step[j]), largest_depth = std::max(largest_depth, depth);
      }
      quantize_row(type, x.data(), bytes.data(), 256);
      dequantize_row(type, bytes.data(), y.data(), 256);
      for (size_t i = 0; i < 256; ++i) {
        // Q6_K's +32 does not exist, so the far end of a part may miss by a whole step.
        double s = step[i / part], bound = type == ElementType::kQ4_K ? 0.5 * s + (15.5 * largest_step + largest_depth) / 63 * 0.5
                                                                       : 1.0 * s + 32.5 * largest_step / 127 * 0.5;
        bound += (16 * largest_step + largest_depth) * 0x1p-10;
        ASSERT_LE(std::fabs(static_cast<double>(x[i]) - static_cast<double>(y[i])), bound) << round << " " << i;
      }
    }
  }
}

TEST(Quantize, RefusesWhatItCannotWrite) {
  float x[256] = {};
  uint8_t out[256];
  EXPECT_FALSE(can_quantize(ElementType::kQ2_K));
  EXPECT_THROW(quantize_row(ElementType::kQ2_K, x, out, 256), Error);
  EXPECT_THROW(quantize_row(ElementType::kQ8_0, x, out, 31), Error);
}

}  // namespace
}  // namespace ingot
