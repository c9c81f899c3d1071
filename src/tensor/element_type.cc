#include "tensor/element_type.h"

#include <limits>
#include <string>

#include "core/error.h"

namespace ingot {
namespace {

struct Row {
  ElementType type;
  std::string_view name;
  int64_t length, bytes;
  uint32_t gguf;
};

// In the order of the enum, so that an index finds its row.
constexpr Row kTable[kElementTypes] = {
    {ElementType::kF32, "F32", 1, 4, 0},          {ElementType::kF16, "F16", 1, 2, 1},
    {ElementType::kBF16, "BF16", 1, 2, 30},       {ElementType::kQ8_0, "Q8_0", 32, 34, 8},
    {ElementType::kQ4_0, "Q4_0", 32, 18, 2},      {ElementType::kQ4_1, "Q4_1", 32, 20, 3},
    {ElementType::kQ5_0, "Q5_0", 32, 22, 6},      {ElementType::kQ5_1, "Q5_1", 32, 24, 7},
    {ElementType::kQ2_K, "Q2_K", 256, 84, 10},    {ElementType::kQ3_K, "Q3_K", 256, 110, 11},
    {ElementType::kQ4_K, "Q4_K", 256, 144, 12},   {ElementType::kQ5_K, "Q5_K", 256, 176, 13},
    {ElementType::kQ6_K, "Q6_K", 256, 210, 14},   {ElementType::kIQ4_NL, "IQ4_NL", 32, 18, 20},
    {ElementType::kIQ4_XS, "IQ4_XS", 256, 136, 23},
};

const Row& row(ElementType type) { return kTable[static_cast<int>(type)]; }

}  // namespace

std::string_view element_name(ElementType type) { return row(type).name; }
int64_t block_length(ElementType type) { return row(type).length; }
int64_t block_bytes(ElementType type) { return row(type).bytes; }
uint32_t gguf_type_id(ElementType type) { return row(type).gguf; }

std::optional<ElementType> element_type_of_gguf(uint32_t id) {
  for (const Row& r : kTable)
    if (r.gguf == id) return r.type;
  return std::nullopt;
}

std::optional<ElementType> element_type_of_name(std::string_view name) {
  for (const Row& r : kTable)
    if (r.name == name) return r.type;
  return std::nullopt;
}

int64_t row_bytes(ElementType type, int64_t n) {
  const Row& r = row(type);
  if (n < 0 || n % r.length != 0)
    bad_input("a row of " + std::to_string(n) + " elements does not divide into " + std::string(r.name) + " blocks of " +
                  std::to_string(r.length),
              "", "use a type whose block divides the row length");
  if (n / r.length > std::numeric_limits<int64_t>::max() / r.bytes)
    bad_input("a row of " + std::to_string(n) + " elements is too large to count in bytes", "", "check the file's shapes");
  return n / r.length * r.bytes;
}

float f32_of_f16(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in f32
    float value = static_cast<float>(mantissa) * 0x1.0p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t f16_of_f32(float value) {
  uint32_t u = std::bit_cast<uint32_t>(value), sign = (u >> 16) & 0x8000u;
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((u >> 13) & 0x3ff));
  if (u >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to 65536 or beyond
  if (u < 0x38800000u) {                                               // subnormal half: let f32 addition round
    float shifted = std::bit_cast<float>(u) + 0.5f;                    // 0.5's last bit is 2^-24
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  u += 0xfffu + ((u >> 13) & 1);
  return static_cast<uint16_t>(sign | ((u - 0x38000000u) >> 13));
}

}  // namespace ingot
