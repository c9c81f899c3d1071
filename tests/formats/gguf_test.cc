#include "formats/gguf.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ingot
