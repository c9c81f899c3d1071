// A random model speaks nonsense, which is enough to see whether the same request gives the same nonsense.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "runtime/engine.h"

namespace ingot {

class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "the river number " + std::to_string(i * 37 % 101) + " runs to the sea of grass\n";
    const std::string_view texts[] = {text};
    const std::string specials[] = {"<|endoftext|>"};
    tokenizer_ = train_tokenizer(texts, 320, PreTokenizer::kSmolLm, specials);
    LlamaConfig c;
    c.vocab = tokenizer_->size(), c.width = 64, c.layers = 2, c.heads = 4, c.groups = 2, c.head_size = c.rope_dims = 16, c.hidden = 96, c.context = 512;
    auto random = Llama::random(c, 9);
    for (Weight* w : random->weights())  // larger than at birth, so that the logits differ
      if (w->rows > 1)
        for (int64_t i = 0; i < w->size(); ++i) const_cast<float*>(w->f32())[i] *= 8;
    GgufWriter out;
    random->write(out, ElementType::kQ8_0, ElementType::kQ8_0);
    bytes_ = out.bytes();
    model_ = Llama::load(Gguf::parse(std::as_bytes(std::span(bytes_)), "test"));
  }
  static void TearDownTestSuite() {
    model_.reset();
    tokenizer_.reset();
  }

  static Generation request(int i) {
    Generation g;
    std::string text = "the river number ";
    for (int j = 0; j < 3 + i * 9 % 40; ++j) text += std::to_string((i % 3) * 100 + j) + " runs ";  // several share a beginning
    g.prompt = tokenizer_->encode(text);
    g.limit = 5 + i % 7 * 6;
    g.sampling.temperature = i % 4 ? 0.9 : 0;
    g.sampling.top_p = 0.95;
    g.sampling.repetition = i % 2 ? 1.1 : 1;
    g.sampling.seed = static_cast<uint64_t>(i);
    g.ignore_end = true;
    return g;
  }
  static std::vector<int32_t> ids(const GenerationResult& result) {
    std::vector<int32_t> out;
    for (const auto& token : result.tokens) out.push_back(token.id);
    return out;
  }

  static inline std::shared_ptr<const Tokenizer> tokenizer_;
  static inline std::shared_ptr<Llama> model_;
  static inline std::string bytes_;
  ThreadTeam team_{2};
};

}  // namespace ingot
