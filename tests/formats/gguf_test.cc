#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/error.h"
#include "refusal.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

using harness::refusal_of;

std::string sample() {
  GgufWriter writer;
  std::vector<std::string_view> texts{"a bug in the parser, a bug in the lexer, a bug in the build"};
  std::vector<std::string> specials{"<|endoftext|>"};
  train_tokenizer(texts, 270, PreTokenizer::kSmolLm, specials)->to_gguf(writer);
  std::string data(24, '\1');
  writer.add("w", {2, 3}, ElementType::kF32, data);
  return writer.bytes();
}

TEST(Gguf, ReadsWhatItWrote) {
  std::string bytes = sample();
  auto gguf = Gguf::parse(std::as_bytes(std::span(bytes)), "sample");
  EXPECT_EQ(gguf->find("w")->shape, (std::vector<int64_t>{2, 3}));
  auto tokenizer = Tokenizer::from_gguf(*gguf);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a bug \xf0\x9f\x98\x80\xff")), "a bug \xf0\x9f\x98\x80\xef\xbf\xbd");
  auto again = Tokenizer::from_json(tokenizer->to_json(), "sample");
  EXPECT_EQ(again->encode("the parser<|endoftext|>"), tokenizer->encode("the parser<|endoftext|>"));
}

TEST(Gguf, RefusesEveryTruncation) {
  std::string bytes = sample();
  for (size_t n = 0; n + 8 < bytes.size(); n += 7)
    EXPECT_THROW(Gguf::parse(std::as_bytes(std::span(bytes).first(n)), "cut"), Error) << n;
}

// A file with the tensor "w" of 2 rows of 3, its version and the number of w's element type changed.
std::string with_numbers(uint32_t version, uint32_t type) {
  GgufWriter writer;
  writer.set("general.name", GgufValue::text("sample"));
  writer.add("w", {2, 3}, ElementType::kF32, std::string(24, '\1'));
  std::string bytes = writer.bytes();
  std::memcpy(bytes.data() + 4, &version, 4);
  std::memcpy(bytes.data() + bytes.find("\1\0\0\0\0\0\0\0w", 24, 9) + 9 + 4 + 16, &type, 4);
  return bytes;
}

std::string refusal_of(const std::string& bytes) {
  return refusal_of([&] { Gguf::parse(std::as_bytes(std::span(bytes)), "sample"); });
}

TEST(Gguf, ReadsVersionsTwoAndThree) {
  for (uint32_t version : {2, 3}) {
    const std::string bytes = with_numbers(version, 0);
    auto gguf = Gguf::parse(std::as_bytes(std::span(bytes)), "sample");
    EXPECT_EQ(gguf->text("general.name"), "sample");
    EXPECT_EQ(gguf->find("w")->shape, (std::vector<int64_t>{2, 3}));
  }
  EXPECT_EQ(refusal_of(with_numbers(1, 0)), "sample: GGUF version 1, expected 2 or 3");
  EXPECT_EQ(refusal_of(with_numbers(4, 0)), "sample: GGUF version 4, expected 2 or 3");
}

TEST(Gguf, RefusesAnUnknownElementTypeByNamingWhatIsKnown) {
  for (uint32_t type : {16u, 99u})  // IQ2_XXS, and one that nobody has
    EXPECT_THAT(refusal_of(with_numbers(3, type)),
                testing::AllOf(testing::HasSubstr("tensor w has element type " + std::to_string(type)), testing::HasSubstr("supported are F32, F16, BF16, Q8_0"), testing::HasSubstr("IQ4_XS")));
}

TEST(Gguf, RefusesAWrongShapeWithBothShapes) {
  const std::string bytes = with_numbers(3, 0);
  auto gguf = Gguf::parse(std::as_bytes(std::span(bytes)), "sample");
  const auto asked = [&](const char* name, std::vector<int64_t> shape) { return refusal_of([&] { gguf->tensor(name, shape); }); };
  EXPECT_EQ(asked("w", {2, 3}), "accepted");
  EXPECT_EQ(asked("w", {3, 2}), "sample: tensor w has shape [2, 3], expected [3, 2]");
  EXPECT_EQ(asked("w", {6}), "sample: tensor w has shape [2, 3], expected [6]");
  EXPECT_EQ(asked("v", {6}), "sample: tensor v is missing, expected shape [6]");
}

TEST(Gguf, RefusesTensorsThatShareBytes) {
  GgufWriter writer;
  for (const char* name : {"a", "b"}) writer.add(name, {8}, ElementType::kF32, std::string(32, *name));
  std::string bytes = writer.bytes();
  const uint64_t offset = 0;
  std::memcpy(bytes.data() + bytes.find("\1\0\0\0\0\0\0\0b", 24, 9) + 9 + 4 + 8 + 4, &offset, 8);
  EXPECT_EQ(refusal_of(bytes), "sample: tensor b begins inside tensor a");
}

TEST(Gguf, KeepsAnAlignmentThatIsAsked) {
  for (int64_t alignment : {8, 64, 4096}) {
    GgufWriter writer;
    writer.set("general.alignment", GgufValue::u32(static_cast<uint32_t>(alignment)));
    for (const char* name : {"a", "b", "c"}) writer.add(name, {2, 3}, ElementType::kF32, std::string(24, *name));
    const std::string bytes = writer.bytes();
    auto gguf = Gguf::parse(std::as_bytes(std::span(bytes)), "sample");
    for (const GgufTensor& t : gguf->tensors()) {
      EXPECT_EQ((reinterpret_cast<const char*>(t.data) - bytes.data()) % alignment, 0) << t.name;
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(t.data), t.bytes), std::string(24, t.name[0]));
    }
  }
  GgufWriter odd;
  odd.set("general.alignment", GgufValue::u32(4));  // an F64 would lie across
  EXPECT_THAT(refusal_of(odd.bytes()), testing::HasSubstr("general.alignment is 4, expected a power of two from 8"));
}

// What a file says of its parts and its types is not so of another that is made from it.
TEST(Gguf, CopiesTheMetadataThatStillHolds) {
  GgufWriter writer, again;
  writer.set("split.no", GgufValue::u32(0));
  writer.set("split.count", GgufValue::u32(1));
  writer.set("general.file_type", GgufValue::u32(7));
  writer.set("general.alignment", GgufValue::u32(256));
  writer.set("general.name", GgufValue::text("sample"));
  const std::string bytes = writer.bytes();
  again.copy_metadata(*Gguf::parse(std::as_bytes(std::span(bytes)), "sample"));
  const std::string copied = again.bytes();
  auto gguf = Gguf::parse(std::as_bytes(std::span(copied)), "again");
  EXPECT_EQ(gguf->metadata().size(), 2u);
  EXPECT_EQ(gguf->text("general.name"), "sample");
  EXPECT_EQ(gguf->integer("general.alignment"), 256);
}

std::filesystem::path part(int64_t index, int64_t count, int64_t says, int64_t tensors, int64_t rows = 2) {
  GgufWriter writer;
  auto u16 = [](int64_t v) { return GgufValue{GgufType::kU16, {}, v}; };
  writer.set("split.no", u16(says));
  writer.set("split.count", u16(count));
  writer.set("split.tensors.count", GgufValue{GgufType::kI32, {}, tensors});
  std::vector<float> values(static_cast<size_t>(rows * 3), static_cast<float>(index));
  writer.add("w" + std::to_string(index), {rows, 3}, ElementType::kF32, values.data());
  char name[64];
  std::snprintf(name, sizeof name, "split-%05d-of-%05d.gguf", static_cast<int>(index + 1), static_cast<int>(count));
  auto path = std::filesystem::path(testing::TempDir()) / name;
  writer.write(path);
  return path;
}

std::string refusal_of(const std::filesystem::path& path) {
  return refusal_of([&] { Gguf::open(path); });
}

TEST(Gguf, JoinsThePartsOfASplitModel) {
  auto first = part(0, 3, 0, 3), second = part(1, 3, 1, 3), third = part(2, 3, 2, 3);
  auto whole = Gguf::open(first);
  ASSERT_EQ(whole->tensors().size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const GgufTensor* t = whole->find("w" + std::to_string(i));
    ASSERT_TRUE(t);
    float value;
    std::memcpy(&value, t->data + 20, 4);
    EXPECT_EQ(value, static_cast<float>(i));
  }
  EXPECT_THAT(refusal_of(second), testing::HasSubstr("not the first of 3 parts"));
  part(2, 3, 1, 3);
  EXPECT_THAT(refusal_of(first), testing::HasSubstr("says it is part 2 of 3, expected part 3 of 3"));
  part(2, 3, 2, 3), part(0, 3, 0, 4);
  EXPECT_THAT(refusal_of(first), testing::HasSubstr("hold 3 tensors, expected 4"));
  part(0, 3, 0, 3);
  std::filesystem::resize_file(third, std::filesystem::file_size(third) - 20);
  EXPECT_THAT(refusal_of(first), testing::AllOf(testing::HasSubstr("split-00003-of-00003.gguf"), testing::HasSubstr("tensor w2 needs 24 bytes")));
  std::filesystem::remove(third);
  EXPECT_THAT(refusal_of(first), testing::AllOf(testing::HasSubstr("split-00003-of-00003.gguf"), testing::HasSubstr("part 3 of 3 is missing")));
}

int64_t mapped_kilobytes() {  // of files, in memory
  std::ifstream status("/proc/self/status");
  int64_t sum = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:") || line.starts_with("RssShmem:")) sum += std::stoll(line.substr(line.find(':') + 1));
  return sum;
}

TEST(Gguf, ReleasesThePagesOfAllParts) {
  constexpr int64_t kRows = 1 << 19;  // 6 MiB a part
  const auto first = part(0, 2, 0, 2, kRows), second = part(1, 2, 1, 2, kRows);
  auto whole = Gguf::open(first);
  auto sum = [&] {
    int64_t all = 0;
    for (const GgufTensor& t : whole->tensors())
      for (uint64_t i = 0; i < t.bytes; i += 4096) all += std::to_integer<int>(t.data[i]);
    return all;
  };
  const int64_t value = sum(), before = mapped_kilobytes();
  whole->release_pages();
  EXPECT_LT(mapped_kilobytes(), before - 11 * 1024);  // both, but for what stays at the edges
  EXPECT_EQ(sum(), value);
  std::filesystem::remove(first), std::filesystem::remove(second);
}

}  // namespace
}  // namespace ingot
