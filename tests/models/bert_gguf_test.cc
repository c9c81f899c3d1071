// A BERT from a GGUF file: ids as tokenizers', vectors as transformers' (tools/make_bert_gguf.py), and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../formats/refusal.h"
#include "core/error.h"
#include "core/files.h"
#include "models/bert/sentence_encoder.h"
#include "runtime/model_gguf.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

using harness::refusal_of;
using testing::HasSubstr;
namespace fs = std::filesystem;

class BertGguf : public testing::Test {
 protected:
  const fs::path path_ = fs::path(INGOT_TEST_DATA) / "models/data/bert.gguf";
  const std::shared_ptr<const Gguf> file_ = Gguf::open(path_);
  const nlohmann::json golden_ = nlohmann::json::parse(read_file(fs::path(INGOT_TEST_DATA) / "models/data/bert.json"));

  // The file with a key set otherwise, and without the tensor `left_out`.
  std::string changed(const std::string& key, const GgufValue& value, const std::string& left_out = "") const {
    GgufWriter out;
    out.copy_metadata(*file_);
    out.set(key, value);
    for (const GgufTensor& t : file_->tensors())
      if (t.name != left_out) out.add(t.name, t.shape, t.type, t.data);
    return out.bytes();
  }
  static std::shared_ptr<const Gguf> parsed(const std::string& bytes) { return Gguf::parse(std::as_bytes(std::span(bytes)), "changed.gguf"); }

  void expect_vectors(const TextEncoder& encoder, const char* pooling) const {
    for (size_t t = 0; t < golden_["texts"].size(); ++t) {
      const std::vector<std::string> text{golden_["texts"][t]};
      if (text[0].starts_with('[')) continue;  // a text to embed holds no special tokens, as other services have it
      const auto row = encoder.encode(text);
      ASSERT_EQ(row.size(), 32u);
      for (size_t i = 0; i < row.size(); ++i) EXPECT_NEAR(row[i], golden_[pooling][t][i].get<float>(), 2e-6) << pooling << " of " << text[0];
    }
  }
};

TEST_F(BertGguf, GivesTheReferencesIds) {
  const auto tokenizer = Tokenizer::from_gguf(*file_);
  for (size_t t = 0; t < golden_["texts"].size(); ++t)
    EXPECT_EQ(tokenizer->encode(golden_["texts"][t].get<std::string>()), golden_["ids"][t].get<std::vector<int32_t>>()) << golden_["texts"][t];
  // A cased model says so, and one may fold the case and keep the accents.
  const std::string cased = changed("tokenizer.ggml.normalizer.lowercase", GgufValue::boolean(false));
  EXPECT_EQ(Tokenizer::from_gguf(*parsed(cased))->encode("The table"), (std::vector<int32_t>{2, 1, 10, 3}));
  const std::string accents = changed("tokenizer.ggml.normalizer.strip_accents", GgufValue::boolean(false));
  EXPECT_EQ(Tokenizer::from_gguf(*parsed(accents))->encode("The caf\xc3\xa9"), (std::vector<int32_t>{2, 5, 1, 3}));
  for (const std::string& bytes : {cased, accents}) {  // and our own writer says it again
    GgufWriter again;
    const auto once = Tokenizer::from_gguf(*parsed(bytes));
    once->to_gguf(again);
    EXPECT_EQ(Tokenizer::from_gguf(*parsed(again.bytes()))->encode("The caf\xc3\xa9 table"), once->encode("The caf\xc3\xa9 table"));
  }
}

TEST_F(BertGguf, GivesTheReferencesVectors) {
  EXPECT_TRUE(is_sentence_encoder(path_));
  expect_vectors(*open_encoder(path_.string()), "mean");
  expect_vectors(*open_encoder(path_.string(), Pooling::kCls), "cls");
  const fs::path other = fs::path(testing::TempDir()) / "ingot_bert_cls.gguf";
  write_file(other, changed("bert.pooling_type", GgufValue::u32(2)));
  expect_vectors(*open_encoder(other.string()), "cls");
  EXPECT_NE(open_encoder(other.string())->fingerprint(), open_encoder(path_.string())->fingerprint());
  fs::remove(other);
}

TEST_F(BertGguf, AnEncoderWithoutTokenTypesHasNone) {
  const std::string bytes = changed("general.name", GgufValue::text("distilled"), "token_types.weight");
  const auto model = Bert::load(parsed(bytes));
  EXPECT_EQ(model->config().types, 0);
  ThreadTeam team(1);
  Arena arena;
  const std::vector<int32_t> ids{2, 5, 3}, lengths{3};
  const Tensor without = model->hidden({team, arena}, ids, lengths), with = Bert::load(file_)->hidden({team, arena}, ids, lengths);
  EXPECT_GT(std::abs(without.data[0] - with.data[0]), 1e-3f);
}

TEST_F(BertGguf, RefusesWhatWouldBeComputedWrongly) {
  const auto load = [&](const std::string& bytes) { return refusal_of([&] { Bert::load(parsed(bytes)); }); };
  EXPECT_EQ(load(changed("general.name", GgufValue::text("the same"))), "accepted");
  EXPECT_THAT(load(changed("bert.attention.causal", GgufValue::boolean(true))), HasSubstr("attention is causal"));
  EXPECT_THAT(load(changed("bert.attention.head_count", GgufValue::u32(3))), HasSubstr("the width 32 is no multiple of the 3 heads"));
  EXPECT_THAT(load(changed("bert.context_length", GgufValue::u32(73))), HasSubstr("position_embd.weight has shape [72, 32], expected [73, 32]"));
  EXPECT_THAT(load(changed("bert.block_count", GgufValue::u32(3))), HasSubstr("blk.2.attn_q.weight is missing"));
  EXPECT_THAT(load(changed("bert.block_count", GgufValue::u32(2), "token_embd.weight")), HasSubstr("token_embd.weight is missing"));
  EXPECT_THAT(load(changed("general.architecture", GgufValue::text("nomic-bert"))), HasSubstr("the architecture is \"nomic-bert\", expected bert"));
  const std::string reranker = changed("bert.pooling_type", GgufValue::u32(4));
  EXPECT_THAT(refusal_of([&] { read_sentence_settings(*parsed(reranker)); }), HasSubstr("the model scores pairs of texts"));
  EXPECT_THAT(refusal_of([&] { open_model(path_.string()); }), HasSubstr("the architecture is \"bert\"; those that generate text are"));
  const fs::path nomic = fs::path(testing::TempDir()) / "ingot_nomic.gguf";
  write_file(nomic, changed("general.architecture", GgufValue::text("nomic-bert")));
  EXPECT_THAT(refusal_of([&] { open_encoder(nomic.string()); }), HasSubstr("the architecture is \"nomic-bert\""));
  fs::remove(nomic);
  const fs::path folder = fs::path(testing::TempDir()) / "ingot_xlm_roberta";
  fs::remove_all(folder);
  fs::copy(fs::path(INGOT_TEST_DATA) / "models/data/families/xlm_roberta", folder);
  write_file(folder / "tokenizer.json", R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1]]}})");
  EXPECT_THAT(refusal_of([&] { gguf_of_model(folder); }), HasSubstr("XLM-RoBERTa's tokenizer"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ingot
