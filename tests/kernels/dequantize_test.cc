#include "kernels/dequantize.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/files.h"

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

TEST(Quantize, RefusesWhatItCannotWrite) {
  float x[256] = {};
  uint8_t out[256];
  EXPECT_FALSE(can_quantize(ElementType::kQ2_K));
  EXPECT_THROW(quantize_row(ElementType::kQ2_K, x, out, 256), Error);
  EXPECT_THROW(quantize_row(ElementType::kQ8_0, x, out, 31), Error);
}

}  // namespace
}  // namespace ingot
