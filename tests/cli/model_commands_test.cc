// The commands on a language model as a script runs them, on the model that is in the repository.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/random.h"
#include "formats/gguf.h"
#include "shell.h"

namespace ingot {
namespace {

using harness::kIngot;
using harness::Ran;
using harness::shell;
using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

class ModelCommands : public testing::Test {
 protected:
  const std::string base_ = "models/ingot-base.gguf", text_ = "LICENSE";

  static void SetUpTestSuite() {
    folder = fs::path(testing::TempDir()) / "model_commands";
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  static void TearDownTestSuite() { fs::remove_all(folder); }
  static std::string path(const std::string& name) { return (folder / name).string(); }
  static void write(const std::string& name, std::string_view bytes) { std::ofstream(folder / name, std::ios::binary) << bytes; }
  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  static json json_of(const std::string& command) {
    const Ran ran = shell(kIngot + " " + command + " 2>/dev/null");
    EXPECT_EQ(ran.code, 0) << command << "\n" << ran.out;
    return ran.code ? json::object() : json::parse(ran.out);
  }
  double perplexity(const std::string& model) const { return json_of("perplexity " + model + " " + text_ + " --context 512 --chunks 4 --json").value("perplexity", 0.0); }
  static fs::path folder;
};
fs::path ModelCommands::folder;

TEST_F(ModelCommands, PerplexityCountsTheSecondHalfOfEachChunk) {
  const json whole = json_of("perplexity ingot-base " + text_ + " --context 512 --json");
  EXPECT_EQ(whole["chunks"], 6);
  EXPECT_EQ(whole["tokens"], 6 * 255);
  EXPECT_NEAR(whole["perplexity"].get<double>(), 135.2, 1);  // found: 135.17; the text is unlike what it was trained on
  EXPECT_GT(whole["error"].get<double>(), 0);
  const json few = json_of("perplexity ingot-base " + text_ + " --context 64 --chunks 3 --json");
  EXPECT_EQ(few["tokens"], 3 * 31);
  const Ran said = shell(kIngot + " perplexity " + base_ + " " + text_ + " --chunks 1 2>/dev/null");
  EXPECT_THAT(said.out, testing::ContainsRegex("perplexity [0-9.]+ \\+- [0-9.]+ over 255 tokens"));
}

TEST_F(ModelCommands, TokenizePrintsIdsThatDetokenizeReads) {
  write("text.txt", "The parser drops the last line.\n\tna\xc3\xafve <|endoftext|>\n");
  const Ran ids = shell(kIngot + " tokenize " + base_ + " " + path("text.txt"));
  ASSERT_EQ(ids.code, 0) << ids.out;
  EXPECT_GT(lines(ids.out).size(), 8u);
  for (const std::string& line : lines(ids.out)) EXPECT_EQ(line.find_first_not_of("0123456789"), std::string::npos) << line;
  EXPECT_EQ(shell(kIngot + " tokenize ingot-base " + path("text.txt")).out, ids.out);
  EXPECT_EQ(shell("cat " + path("text.txt") + " | " + kIngot + " tokenize " + base_ + " - | " + kIngot + " detokenize " + base_ + " - --special").out, read_file(path("text.txt")));
  write("ids.txt", ids.out);
  const Ran back = shell(kIngot + " detokenize " + base_ + " " + path("ids.txt") + " --special");
  EXPECT_THAT(back.out, HasSubstr("The parser drops the last line.\n\tna\xc3\xafve <|endoftext|>"));
  // What a model wants around a text: this one nothing, a WordPiece of BERT's its two marks.
  EXPECT_EQ(shell(kIngot + " tokenize " + base_ + " " + path("text.txt") + " --no-special").out, ids.out);
  write("tokenizer.json", R"({"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],"normalizer":null,
    "pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},
    "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":4,"b":5}}})");
  write("ab.txt", "a b\n");
  EXPECT_EQ(shell(kIngot + " tokenize " + path("tokenizer.json") + " " + path("ab.txt")).out, "2\n4\n5\n3\n");
  EXPECT_EQ(shell(kIngot + " tokenize " + path("tokenizer.json") + " " + path("ab.txt") + " --no-special").out, "4\n5\n");
  EXPECT_EQ(json_of("tokenize " + path("tokenizer.json") + " " + path("ab.txt") + " --stats")["tokens"], 4);
}

TEST_F(ModelCommands, EmbedPrintsAVectorALine) {
  write("lines.txt", "the parser crashes on an empty file\nthe parser fails when the file is empty\r\n\nGTK widgets are drawn twice");
  const auto rows = lines(shell(kIngot + " embed ingot-base " + path("lines.txt") + " --json 2>/dev/null").out);
  ASSERT_EQ(rows.size(), 4u);
  std::vector<std::vector<double>> vectors;
  for (const std::string& row : rows) vectors.push_back(json::parse(row).get<std::vector<double>>());
  auto product = [&](size_t a, size_t b) {
    double sum = 0;
    for (size_t i = 0; i < vectors[a].size(); ++i) sum += vectors[a][i] * vectors[b].at(i);
    return sum;
  };
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(product(i, i), 1, 1e-5) << i;
  EXPECT_GT(product(0, 1), product(0, 3));
  const Ran from_stdin = shell("cat " + path("lines.txt") + " | " + kIngot + " embed ingot-base - --json 2>/dev/null");
  EXPECT_EQ(lines(from_stdin.out), rows);
  const auto plain = lines(shell(kIngot + " embed ingot-base " + path("lines.txt") + " --pooling last 2>/dev/null").out);
  ASSERT_EQ(plain.size(), 4u);
  EXPECT_NE(plain[0].find(' '), std::string::npos);
  EXPECT_NE(lines(shell(kIngot + " embed ingot-base " + path("lines.txt") + " --pooling last --json 2>/dev/null").out)[0], rows[0]);
  std::string endless;
  for (int i = 0; i < 1200; ++i) endless += "word ";
  write("long.txt", endless);
  EXPECT_GT(json_of("embed ingot-base " + path("long.txt") + " --windows")["windows"].get<int>(), 1);
}

// From a file as llama.cpp's converter writes it, and from a folder.
TEST_F(ModelCommands, AnEncoderIsQuantizedAndEmbeds) {
  const std::string encoder = "tests/models/data/bert.gguf";
  write("words.txt", "the cafe menu is on the table\nunbelievable tables\nread on");
  const auto vectors = [&](const std::string& model) {
    std::vector<std::vector<double>> out;
    for (const std::string& row : lines(shell(kIngot + " embed " + model + " " + path("words.txt") + " --json 2>/dev/null").out)) out.push_back(json::parse(row).get<std::vector<double>>());
    return out;
  };
  const auto expected = vectors(encoder);
  ASSERT_EQ(expected.size(), 3u);
  ASSERT_EQ(shell(kIngot + " quantize " + encoder + " " + path("encoder.gguf") + " Q8_0 2>/dev/null").code, 0);
  const auto file = Gguf::open(path("encoder.gguf"));
  EXPECT_EQ(file->find("token_embd.weight")->type, ElementType::kQ8_0);
  EXPECT_EQ(file->find("blk.0.attn_q.weight")->type, ElementType::kQ8_0);
  for (const char* name : {"position_embd.weight", "token_types.weight"}) EXPECT_EQ(file->find(name)->type, ElementType::kF32) << name;
  const auto found = vectors(path("encoder.gguf"));
  ASSERT_EQ(found.size(), 3u);
  for (size_t t = 0; t < 3; ++t) {
    double cosine = 0;
    for (size_t i = 0; i < expected[t].size(); ++i) cosine += expected[t][i] * found[t].at(i);
    EXPECT_GT(cosine, 0.999) << t;
    EXPECT_LT(cosine, 1 - 1e-9) << t;  // it was quantised
  }
  const Ran generate = shell(kIngot + " generate " + encoder + " -p the -n 2");
  EXPECT_EQ(generate.code, 3);
  EXPECT_THAT(generate.out, HasSubstr("ingot embed"));

  const fs::path folder = path("encoder");
  fs::copy("tests/models/data/families/bert", folder, fs::copy_options::recursive);
  std::string vocab = R"("[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3)";
  const char* const words[] = {"the", "cafe", "menu", "is", "on", "table", "##s", "read"};
  for (int i = 4; i < 48; ++i) vocab += ",\"" + (i < 12 ? words[i - 4] : "w" + std::to_string(i)) + "\":" + std::to_string(i);
  write("encoder/tokenizer.json", R"({"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],
    "normalizer":{"type":"BertNormalizer","lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},
    "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{)" + vocab + "}}}");
  write("encoder/sentence_bert_config.json", R"({"max_seq_length": 5})");
  ASSERT_EQ(shell(kIngot + " quantize " + folder.string() + " " + path("written.gguf") + " F32 2>/dev/null").code, 0);
  EXPECT_EQ(vectors(path("written.gguf")), vectors(folder.string()));  // its window of 5 tokens, too
}

// Perplexity over that of the model, which is in Q8_0: as measured, and the most that is taken (the text has 1,020 scored tokens, so that
// a coarser type now and then comes out ahead).
TEST_F(ModelCommands, QuantizedModelsOpenAndPredictNearlyAsWell) {
  const double before = perplexity(base_);
  struct Type {
    const char* name;
    double measured, most;
  };
  for (const Type& type : {Type{"F32", 0.9991, 0.01}, {"BF16", 0.9998, 0.01}, {"Q8_0", 1.0, 1e-6}, {"Q6_K", 1.0019, 0.01}, {"Q4_K_M", 1.0319, 0.03}, {"Q4_0", 1.1126, 0.04},
                           {"IQ4_XS", 0.9783, 0.04}, {"Q3_K", 1.2072, 0.05}}) {
    const std::string file = path(std::string(type.name) + ".gguf");
    const json said = json_of("quantize " + base_ + " " + file + " " + type.name + " --json");
    EXPECT_EQ(said["bytes"], fs::file_size(file)) << type.name;
    EXPECT_EQ(said["type"], type.name);
    const double ratio = perplexity(file) / before;
    RecordProperty(type.name, std::to_string(ratio));
    EXPECT_NEAR(ratio, type.measured, type.most) << type.name;
  }
  EXPECT_LT(fs::file_size(path("Q3_K.gguf")), fs::file_size(path("Q4_0.gguf")));
  EXPECT_LT(fs::file_size(path("Q4_0.gguf")), fs::file_size(path("Q6_K.gguf")));
  const auto again = Gguf::open(path("Q4_K_M.gguf"));
  EXPECT_EQ(again->find("blk.0.attn_q.weight")->type, ElementType::kQ4_K);
  EXPECT_EQ(again->find("token_embd.weight")->type, ElementType::kQ6_K);
}

TEST_F(ModelCommands, AnImportanceMatrixMovesErrorsWhereTheyMatterLess) {
  const Ran measured = shell(kIngot + " imatrix " + base_ + " " + text_ + " -o " + path("im.gguf") + " --context 128 --chunks 8 2>/dev/null");
  ASSERT_EQ(measured.code, 0) << measured.out;
  EXPECT_THAT(measured.out, HasSubstr("42 matrices over 1024 tokens"));
  const json plain = json_of("quantize " + base_ + " " + path("plain.gguf") + " Q4_0 --json");
  const json weighed = json_of("quantize " + base_ + " " + path("weighed.gguf") + " Q4_0 --json --imatrix " + path("im.gguf"));
  EXPECT_EQ(plain["weighed_by_importance"], 0);
  EXPECT_EQ(weighed["weighed_by_importance"], 42);
  EXPECT_LT(perplexity(path("weighed.gguf")), perplexity(path("plain.gguf")));
}

TEST_F(ModelCommands, BenchTellsTheMachineAndTheModelAsAShareOfIt) {
  const json report = json_of("bench " + base_ + " --prompt 64 --decode 8 --batch 1,4 --threads 2 --rounds 1 --json");
  for (const char* key : {"read_gb_s", "f32_gflop_s", "bf16_gflop_s", "int8_gop_s"}) EXPECT_GT(report["machine"][key].get<double>(), 0) << key;
  EXPECT_FALSE(report["machine"]["target"].get<std::string>().empty());
  EXPECT_EQ(report["machine"]["threads"], 2);
  ASSERT_EQ(report["batch"].size(), 2u);
  for (const json& figure : {report["prefill"], report["decode"], report["batch"][0], report["batch"][1]}) {
    EXPECT_GT(figure["tokens_per_s"].get<double>(), 0) << figure;
    EXPECT_NEAR(figure["share_of_limit"].get<double>(), figure["tokens_per_s"].get<double>() / figure["limit_tokens_per_s"].get<double>(), 1e-9);
  }
  EXPECT_EQ(report["prefill"]["tokens"], 64);
  EXPECT_EQ(report["decode"]["tokens"], 8);
  EXPECT_EQ(report["batch"][1]["sequences"], 4);
  for (const char* key : {"load_s", "load_to_first_token_s", "time_to_first_token_s"}) EXPECT_GT(report[key].get<double>(), 0) << key;
  const Ran table = shell(kIngot + " bench " + base_ + " --prompt 64 --decode 8 --threads 2 --rounds 1");
  EXPECT_EQ(table.code, 0);
  EXPECT_THAT(table.out, HasSubstr("GB/s"));
}

// An adapter of A and B that are read back from what the merge has changed.
TEST_F(ModelCommands, MergeAddsTheAdaptersProducts) {
  ASSERT_EQ(shell(kIngot + " quantize " + base_ + " " + path("f32.gguf") + " F32 2>/dev/null").code, 0);
  const auto base = Gguf::open(path("f32.gguf"));
  const GgufTensor* w = base->find("blk.1.ffn_down.weight");
  ASSERT_NE(w, nullptr);
  const int64_t rows = w->shape[0], cols = w->shape[1], rank = 2;
  Random random(3);
  GgufWriter adapter;
  adapter.set("general.type", GgufValue::text("adapter"));
  adapter.set("general.architecture", GgufValue::text("llama"));
  adapter.set("adapter.type", GgufValue::text("lora"));
  adapter.set("adapter.lora.alpha", GgufValue::f32(4));  // twice the rank: products count double
  std::vector<float> a(static_cast<size_t>(rank * cols)), b(static_cast<size_t>(rows * rank));
  for (auto* side : {&a, &b})
    for (float& v : *side) v = static_cast<float>(random.normal() * 0.1);
  auto bytes = [](const std::vector<float>& values) { return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)); };
  adapter.add("blk.1.ffn_down.weight.lora_a", {rank, cols}, ElementType::kF32, bytes(a));
  adapter.add("blk.1.ffn_down.weight.lora_b", {rows, rank}, ElementType::kF32, bytes(b));
  adapter.write(path("adapter.gguf"));
  const Ran ran = shell(kIngot + " merge " + path("f32.gguf") + " " + path("adapter.gguf") + " " + path("merged.gguf"));
  ASSERT_EQ(ran.code, 0) << ran.out;
  const auto merged = Gguf::open(path("merged.gguf"));
  const auto* before = reinterpret_cast<const float*>(w->data);
  const auto* after = reinterpret_cast<const float*>(merged->find("blk.1.ffn_down.weight")->data);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) {
      double want = before[r * cols + c];
      for (int64_t i = 0; i < rank; ++i) want += 2.0 * static_cast<double>(b[static_cast<size_t>(r * rank + i)]) * static_cast<double>(a[static_cast<size_t>(i * cols + c)]);
      ASSERT_NEAR(after[r * cols + c], want, 1e-6) << r << " " << c;
    }
  const GgufTensor *kept = base->find("blk.0.ffn_down.weight"), *same = merged->find("blk.0.ffn_down.weight");
  EXPECT_EQ(std::memcmp(kept->data, same->data, kept->bytes), 0);
  EXPECT_NE(perplexity(path("merged.gguf")), perplexity(path("f32.gguf")));
  EXPECT_THAT(ran.out, HasSubstr("changed matrices: 1 in F32\n")) << "nothing is rounded";
  // The base's own type, one that is coarser and one that is finer: what rounding took is told.
  auto rounding = [&](const std::string& more, const char* type) {
    const json told = json_of("merge " + base_ + " " + path("adapter.gguf") + " " + path("rounded.gguf") + " --json" + more);
    EXPECT_EQ(told["matrices"], (json{{type, 1}}));
    EXPECT_EQ(element_name(Gguf::open(path("rounded.gguf"))->find("blk.1.ffn_down.weight")->type), type);
    EXPECT_EQ(element_name(Gguf::open(path("rounded.gguf"))->find("blk.0.ffn_down.weight")->type), "Q8_0");
    return told.value("rounding", -1.0);
  };
  const double own = rounding("", "Q8_0"), finer = rounding(" --type F16", "F16"), coarser = rounding(" --type Q4_0", "Q4_0");
  EXPECT_GT(own, 4 * finer);
  EXPECT_GT(coarser, 4 * own);
  EXPECT_GT(finer, 0);
  const Ran said = shell(kIngot + " merge " + base_ + " " + path("adapter.gguf") + " " + path("rounded.gguf") + " --type Q4_0");
  EXPECT_THAT(said.out, HasSubstr("% of what the adapter did, --type F16 keeps more of it"));
  EXPECT_EQ(shell(kIngot + " merge " + base_ + " " + path("adapter.gguf") + " " + path("rounded.gguf") + " --type Q9").code, 2);
}

TEST_F(ModelCommands, WhatIsWrongIsAnErrorWithItsPlace) {
  std::string endless;
  for (int i = 0; i < 700; ++i) endless += "word ";
  write("endless.txt", endless);
  const auto tokens = lines(shell(kIngot + " tokenize " + base_ + " " + path("endless.txt")).out).size();
  const Ran prompt = shell(kIngot + " generate " + base_ + " --raw -n 4 -p \"$(cat " + path("endless.txt") + ")\"");
  EXPECT_EQ(prompt.code, 3);
  for (const std::string& number : {std::to_string(tokens), std::string("512")}) EXPECT_THAT(prompt.out, HasSubstr(number));
  std::ifstream whole(base_, std::ios::binary);
  std::string head(3000000, '\0');
  whole.read(head.data(), static_cast<std::streamsize>(head.size()));
  write("cut.gguf", head);
  write("cut_early.gguf", head.substr(0, 50000));
  write("empty.gguf", "");
  const std::string out = path("never.gguf");
  for (const char* name : {"cut.gguf", "cut_early.gguf", "empty.gguf", "missing.gguf"}) {
    const std::string model = path(name);
    for (const std::string& command : {"perplexity " + model + " " + text_, "tokenize " + model + " " + text_, "embed " + model + " " + text_, "quantize " + model + " " + out + " Q4_0",
                                       "imatrix " + model + " " + text_ + " -o " + out, "merge " + model + " " + base_ + " " + out, "bench " + model + " --prompt 8 --decode 2",
                                       "generate " + model + " -p hello -n 2"}) {
      if (command.starts_with("bench") && std::string(name) != "missing.gguf") continue;  // it measures the machine first
      const Ran ran = shell(kIngot + " " + command);
      // A tokenizer needs no more than the header, which a file cut later still has.
      if (std::string(name) == "cut.gguf" && command.starts_with("tokenize") && ran.code == 0) continue;
      EXPECT_EQ(ran.code, 3) << command << "\n" << ran.out.substr(0, 500);
      EXPECT_THAT(ran.out, HasSubstr(name)) << command;
      EXPECT_LT(ran.out.size(), 1000u) << command;
      EXPECT_FALSE(fs::exists(out)) << command;
    }
  }
  for (const char* command : {"perplexity ", "imatrix -o never.gguf ", "embed ", "tokenize "}) {
    const Ran ran = shell(kIngot + " " + command + base_ + " " + path("missing.txt"));
    EXPECT_EQ(ran.code, 3) << command << ran.out;
    EXPECT_THAT(ran.out, HasSubstr("missing.txt"));
  }
  write("short.txt", "a few words");
  const Ran few = shell(kIngot + " perplexity " + base_ + " " + path("short.txt"));
  EXPECT_EQ(few.code, 3);
  EXPECT_THAT(few.out, testing::AllOf(HasSubstr("512"), HasSubstr("tokens")));
  const Ran wide = shell(kIngot + " perplexity " + base_ + " " + text_ + " --context 9000");
  EXPECT_EQ(wide.code, 3);
  EXPECT_THAT(wide.out, testing::AllOf(HasSubstr("9000"), HasSubstr("512")));
  const Ran bench = shell(kIngot + " bench " + base_ + " --prompt 600 --decode 8");
  EXPECT_EQ(bench.code, 3);
  EXPECT_THAT(bench.out, testing::AllOf(HasSubstr("608"), HasSubstr("512")));
  const Ran type = shell(kIngot + " quantize " + base_ + " " + out + " Q4_9");
  EXPECT_EQ(type.code, 2);
  EXPECT_THAT(type.out, testing::AllOf(HasSubstr("Q4_9"), HasSubstr("Q4_K_M")));
  EXPECT_EQ(shell(kIngot + " quantize " + base_ + " " + base_ + " Q4_0").code, 2) << "onto itself";
  EXPECT_EQ(shell(kIngot + " merge " + base_ + " " + base_ + " " + out).code, 3) << "a model is no adapter";
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace ingot
