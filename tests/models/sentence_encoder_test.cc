// A BERT as a text encoder: pooling, windows, company, and the settings that stand beside a model.
#include "models/bert/sentence_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/files.h"
#include "formats/safetensors.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

class SentenceEncoderTest : public testing::Test {
 protected:
  std::shared_ptr<const Bert> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;

  void SetUp() override {
    const fs::path folder = fs::path(INGOT_TEST_DATA) / "models/data/families/bert";  // 48 tokens, 96 positions
    model_ = Bert::load(HfConfig::open(folder / "config.json"), Safetensors::open(folder));
    std::string vocab = R"("[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3)";
    for (int i = 4; i < 48; ++i) vocab += ",\"w" + std::to_string(i) + "\":" + std::to_string(i);
    tokenizer_ = Tokenizer::from_json(R"({"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],
        "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
        "pre_tokenizer":{"type":"BertPreTokenizer"},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
          {"SpecialToken":{"id":"[SEP]","type_id":0}}],"pair":[],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]},
          "[SEP]":{"id":"[SEP]","ids":[3],"tokens":["[SEP]"]}}},
        "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{)" + vocab + "}}}",
                                      "test");
  }

  // The rows of the windows that the ids are cut in, by the network itself.
  std::vector<double> expected(std::vector<int32_t> ids, size_t most, Pooling pooling) {
    ThreadTeam team(1);
    Arena arena;
    Context c{team, arena};
    std::vector<double> sum(32, 0.0);
    for (size_t at = 0; at == 0 || at < ids.size(); at += most) {
      std::vector<int32_t> window{2};
      for (size_t i = at; i < std::min(ids.size(), at + most); ++i) window.push_back(ids[i]);
      window.push_back(3);
      Tensor h = model_->hidden(c, window, std::vector<int32_t>{static_cast<int32_t>(window.size())});
      for (int64_t r = 0; r < h.rows; ++r)
        if (pooling == Pooling::kMean || (pooling == Pooling::kCls && r == 0) || (pooling == Pooling::kLast && r == h.rows - 1))
          for (int64_t i = 0; i < h.cols; ++i) sum[static_cast<size_t>(i)] += static_cast<double>(h.row(r)[i]);
    }
    double square = 0;
    for (double v : sum) square += v * v;
    for (double& v : sum) v /= std::sqrt(square);
    return sum;
  }
};

TEST_F(SentenceEncoderTest, PoolsEveryWindowOfEveryText) {
  std::string long_text;
  std::vector<int32_t> long_ids;
  for (int i = 0; i < 70; ++i) {
    long_ids.push_back(4 + i * 7 % 44);
    long_text += "w" + std::to_string(long_ids.back()) + " ";
  }
  const std::vector<std::string> texts{"w9 W10 w11", "", long_text, "w9 nothing known w12"};
  const std::vector<std::vector<int32_t>> ids{{9, 10, 11}, {}, long_ids, {9, 1, 1, 12}};
  for (Pooling pooling : {Pooling::kMean, Pooling::kCls, Pooling::kLast}) {
    auto encoder = make_sentence_encoder(model_, tokenizer_, {pooling, 34});
    std::vector<int> windows;
    const auto rows = encoder->encode(texts, &windows);
    EXPECT_THAT(windows, testing::ElementsAre(1, 1, 3, 1));
    for (size_t t = 0; t < texts.size(); ++t) {
      const auto want = expected(ids[t], 32, pooling);
      for (size_t i = 0; i < 32; ++i) EXPECT_NEAR(rows[t * 32 + i], want[i], 2e-6) << "text " << t;
      const auto alone = encoder->encode(std::span(texts).subspan(t, 1));
      EXPECT_EQ(std::memcmp(alone.data(), rows.data() + t * 32, 32 * sizeof(float)), 0) << "text " << t;
    }
  }
  EXPECT_NE(make_sentence_encoder(model_, tokenizer_, {Pooling::kMean, 34})->fingerprint(), make_sentence_encoder(model_, tokenizer_, {Pooling::kCls, 34})->fingerprint());
}

// What rails read with: other bits, another name, nearly the same direction.
TEST_F(SentenceEncoderTest, QuantisedPointsTheSameWay) {
  const fs::path folder = fs::path(INGOT_TEST_DATA) / "models/data/families/bert";
  auto quantised = Bert::load(HfConfig::open(folder / "config.json"), Safetensors::open(folder));
  quantised->quantise(ElementType::kQ8_0);
  const auto exact = make_sentence_encoder(model_, tokenizer_, {Pooling::kMean, 0}), quick = make_sentence_encoder(quantised, tokenizer_, {Pooling::kMean, 0});
  EXPECT_NE(exact->fingerprint(), quick->fingerprint());
  const std::vector<std::string> texts = {"w5 w6 w7", "w40", "w9 w12 w30 w31 w44 w8 w8"};
  const auto want = exact->encode(texts), got = quick->encode(texts);
  EXPECT_NE(want, got);
  for (size_t t = 0; t < texts.size(); ++t) {
    double cosine = 0;
    for (size_t i = 0; i < 32; ++i) cosine += static_cast<double>(want[t * 32 + i]) * static_cast<double>(got[t * 32 + i]);
    EXPECT_GT(cosine, 0.999) << texts[t];
  }
}

TEST_F(SentenceEncoderTest, ReadsTheSettingsBesideAModel) {
  const fs::path folder = fs::path(testing::TempDir()) / "ingot_sentence_settings";
  fs::remove_all(folder);
  fs::create_directories(folder / "1_Pooling");
  EXPECT_EQ(read_sentence_settings(folder).pooling, Pooling::kMean);
  write_file(folder / "1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  write_file(folder / "sentence_bert_config.json", R"({"max_seq_length": 64})");
  EXPECT_EQ(read_sentence_settings(folder).pooling, Pooling::kCls);
  EXPECT_EQ(read_sentence_settings(folder).window, 64);
  write_file(folder / "1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})");
  EXPECT_THROW(read_sentence_settings(folder), Error);
  write_file(folder / "1_Pooling/config.json", R"({"pooling_mode": "lasttoken"})");
  write_file(folder / "modules.json", R"([{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])");
  EXPECT_EQ(read_sentence_settings(folder).pooling, Pooling::kLast);
  write_file(folder / "modules.json", R"([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])");
  EXPECT_THROW(read_sentence_settings(folder), Error);
  write_file(folder / "modules.json", R"([{"type": "sentence_transformers.models.Pooling", "path": "../elsewhere"}])");
  EXPECT_THROW(read_sentence_settings(folder), Error);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ingot
