// A language model as a text encoder against transformers (tools/make_encoder_goldens.py).
#include "models/llama/llama_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "formats/safetensors.h"
#include "models/hf_config.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

class LlamaEncoderTest : public testing::TestWithParam<const char*> {
 protected:
  const std::string data_ = std::string(INGOT_TEST_DATA) + "/models/data/";
  std::shared_ptr<const Safetensors> goldens_ = Safetensors::open(data_ + "llama_encoder.safetensors");
  std::shared_ptr<const Llama> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<std::string> texts_;  // words that are a token each

  std::vector<float> golden(const std::string& name) const { return goldens_->floats(name, goldens_->find(name)->shape); }
  void SetUp() override {
    const std::string folder = data_ + "families/" + GetParam();
    model_ = Llama::load(HfConfig::open(folder + "/config.json"), Safetensors::open(folder));
    std::string vocab = R"("[UNK]":0)";
    for (int i = 1; i < 48; ++i) vocab += ",\"w" + std::to_string(i) + "\":" + std::to_string(i);
    tokenizer_ = Tokenizer::from_json(R"({"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":null,
        "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{)" + vocab + "}}}",
                                      "test");
    const auto ids = golden(std::string(GetParam()) + ".ids");
    auto id = ids.begin();
    for (float length : golden("lengths")) {
      std::string& text = texts_.emplace_back();
      for (int i = 0; i < static_cast<int>(length); ++i) text += "w" + std::to_string(static_cast<int>(*id++)) + " ";
    }
  }
};

TEST_P(LlamaEncoderTest, VectorsAsTransformersAloneAndTogether) {
  const auto width = static_cast<size_t>(model_->config().width);
  for (auto [pooling, name] : {std::pair{Pooling::kMean, ".mean"}, {Pooling::kLast, ".last"}}) {
    const auto want = golden(GetParam() + std::string(name));
    const auto encoder = make_llama_encoder(model_, tokenizer_, "test", pooling);
    std::vector<int> windows;
    const auto rows = encoder->encode(texts_, &windows);
    EXPECT_THAT(windows, testing::ElementsAre(1, 1, 1, 1, 1, 3));
    ASSERT_EQ(rows.size(), want.size());
    float most = 0;
    for (size_t i = 0; i < rows.size(); ++i) most = std::max(most, std::isnan(rows[i]) ? INFINITY : std::abs(rows[i] - want[i]));
    RecordProperty(std::string("difference") + name, std::to_string(most));
    EXPECT_LE(most, 1e-5f) << name;
    for (size_t t = 0; t < texts_.size(); ++t) {
      const auto alone = encoder->encode(std::span(texts_).subspan(t, 1), nullptr);
      EXPECT_EQ(std::memcmp(alone.data(), rows.data() + t * width, width * sizeof(float)), 0) << name << " text " << t;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LlamaEncoderTest, testing::Values("gemma3", "llama3", "mistral", "qwen3"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace ingot
