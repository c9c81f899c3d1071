#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

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

std::filesystem::path part(int64_t index, int64_t count, int64_t says, int64_t tensors) {
  GgufWriter writer;
  auto u16 = [](int64_t v) { return GgufValue{GgufType::kU16, {}, v}; };
  writer.set("split.no", u16(says));
  writer.set("split.count", u16(count));
  writer.set("split.tensors.count", GgufValue{GgufType::kI32, {}, tensors});
  std::vector<float> values(6, static_cast<float>(index));
  writer.add("w" + std::to_string(index), {2, 3}, ElementType::kF32, values.data());
  char name[64];
  std::snprintf(name, sizeof name, "split-%05d-of-%05d.gguf", static_cast<int>(index + 1), static_cast<int>(count));
  auto path = std::filesystem::path(testing::TempDir()) / name;
  writer.write(path);
  return path;
}

std::string refusal(const std::filesystem::path& path) {
  try {
    Gguf::open(path);
  } catch (const Error& error) {
    return error.where + ": " + error.problem;
  }
  return "accepted";
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
  EXPECT_THAT(refusal(second), testing::HasSubstr("not the first of 3 parts"));
  part(2, 3, 1, 3);
  EXPECT_THAT(refusal(first), testing::HasSubstr("says it is part 2 of 3, expected part 3 of 3"));
  part(2, 3, 2, 3), part(0, 3, 0, 4);
  EXPECT_THAT(refusal(first), testing::HasSubstr("hold 3 tensors, expected 4"));
  part(0, 3, 0, 3);
  std::filesystem::resize_file(third, std::filesystem::file_size(third) - 20);
  EXPECT_THAT(refusal(first), testing::AllOf(testing::HasSubstr("split-00003-of-00003.gguf"), testing::HasSubstr("tensor w2 needs 24 bytes")));
  std::filesystem::remove(third);
  EXPECT_THAT(refusal(first), testing::AllOf(testing::HasSubstr("split-00003-of-00003.gguf"), testing::HasSubstr("part 3 of 3 is missing")));
}

}  // namespace
}  // namespace ingot
