// Kind "chat" from data to a served file, over a tiny base made here.
#include "foundry/chat/chat_build.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "foundry/ai.h"
#include "foundry/build.h"
#include "foundry/chat/chat_data.h"
#include "foundry/chat/text_overlap.h"
#include "tiny_chat_base.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(TextOverlap, AsDefined) {
  EXPECT_DOUBLE_EQ(rouge_l("The cat sat", "the CAT, sat!"), 1);
  EXPECT_DOUBLE_EQ(rouge_l("police killed the gunman", "police kill the gunman"), 0.75);  // Lin 2004's example
  EXPECT_DOUBLE_EQ(rouge_l("the gunman kill police", "police kill the gunman"), 0.5);
  EXPECT_DOUBLE_EQ(rouge_l("", "a"), 0);
  EXPECT_DOUBLE_EQ(rouge_l("", ""), 1);
  EXPECT_DOUBLE_EQ(token_f1("the gunman kill police", "police kill the gunman"), 1);
  EXPECT_DOUBLE_EQ(token_f1("a a", "a"), 2.0 / 3);
  EXPECT_TRUE(exact_match(" fix  it\n", "fix it"));
  EXPECT_FALSE(exact_match("Fix it", "fix it"));
}

class ChatBuild : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = fs::path(testing::TempDir()) / "ingot_chat";
    fs::remove_all(folder);
    fs::create_directories(folder);
    harness::write_tiny_chat_base(folder / "base.gguf");
    std::ofstream data(folder / "talk.jsonl");
    for (int i = 0; i < 120; ++i)
      data << json{{"question", "what is the colour of stone number " + std::to_string(i)}, {"answer", i % 2 ? "it is blue" : "it is red"}}.dump() << "\n";
    data << "{\"question\": \"no answer\"}\nnot json\n";
  }
  static Recipe recipe(const std::string& name) {
    Recipe r = parse_recipe("kind = \"chat\"\n[chat]\nrank = 4\nrate = 0.01\nepochs = 3\nbatch = 8\njudged = 4\nmax_tokens = 8\nsystem = \"be brief\"\n", "test");
    r.name = name;
    r.base = (folder / "base.gguf").string();
    r.data.sources = {(folder / "talk.jsonl").string()};
    return r;
  }
  static fs::path folder;
};
fs::path ChatBuild::folder;

TEST_F(ChatBuild, TwoAisShareOneBase) {
  const auto one = folder / "one.ingot", two = folder / "two.ingot";
  std::string said;
  const json report = build(recipe("one"), one, [&](const std::string& line) { said += line + "\n"; });
  EXPECT_NE(said.find("not a JSON object"), std::string::npos) << said;
  EXPECT_NE(said.find("talk.jsonl:121"), std::string::npos) << said;
  EXPECT_LT(report["evaluation"]["after"]["perplexity"], report["evaluation"]["before"]["perplexity"].get<double>() / 10);
  EXPECT_EQ(report["evaluation"]["records"], 24);
  EXPECT_FALSE(fs::exists(one.string() + ".training"));
  Recipe other = recipe("two");
  other.train.seed = 2;
  build(other, two, [](const std::string&) {});

  const auto a = Ai::open(one), b = Ai::open(two);
  EXPECT_EQ(a->kind(), "chat");
  EXPECT_EQ(a->chat().system, "be brief");
  EXPECT_EQ(a->chat().base.get(), b->chat().base.get());  // one object in memory
  EXPECT_NE(a->chat().lora, b->chat().lora);
  EXPECT_FALSE(a->archive().has("model.gguf"));
  EXPECT_THROW(a->classify("x"), Error);
  EXPECT_EQ(a->chat().with_system({{"user", "hi"}}).size(), 2u);
  // The adapter that was packed answers as the one that was judged.
  const auto again = evaluate_chat(a->chat(), read_chat_split(recipe("one")).test, {4, 8}, default_team());
  EXPECT_NEAR(again["after"]["perplexity"], report["evaluation"]["after"]["perplexity"].get<double>(), 1e-6);
}

TEST_F(ChatBuild, TheBaseIsFoundByHashOrRefused) {
  const auto file = folder / "three.ingot";
  build(recipe("three"), file, [](const std::string&) {});
  const auto elsewhere = folder / "elsewhere";
  fs::create_directories(elsewhere / "bases");
  fs::copy_file(file, elsewhere / "three.ingot", fs::copy_options::overwrite_existing);
  fs::rename(folder / "base.gguf", folder / "moved");
  EXPECT_THROW(Ai::open(elsewhere / "three.ingot"), Error);
  std::string bytes = read_file(folder / "moved");
  bytes[bytes.size() - 5] ^= 1;
  write_file(elsewhere / "bases" / "base.gguf", bytes);
  try {
    Ai::open(elsewhere / "three.ingot");
    FAIL() << "a base with another hash was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::altered) << error.what();
  }
  fs::copy_file(folder / "moved", elsewhere / "bases" / "base.gguf", fs::copy_options::overwrite_existing);
  EXPECT_NO_THROW(Ai::open(elsewhere / "three.ingot"));
  fs::rename(folder / "moved", folder / "base.gguf");
  Recipe full = recipe("full");
  full.pack_full = true;
  build(full, folder / "full.ingot", [](const std::string&) {});
  fs::rename(folder / "base.gguf", folder / "moved");
  EXPECT_NO_THROW(Ai::open(folder / "full.ingot"));
  fs::rename(folder / "moved", folder / "base.gguf");
}

TEST_F(ChatBuild, TheGateHolds) {
  Recipe r = recipe("bad");
  r.gate.rouge_l = 0.999;
  r.chat.max_steps = 1;
  EXPECT_THROW(build(r, folder / "bad.ingot", [](const std::string&) {}), Error);
  EXPECT_FALSE(fs::exists(folder / "bad.ingot"));
  r = recipe("bad");
  r.base = "none";
  EXPECT_THROW(build(r, folder / "bad.ingot", [](const std::string&) {}), Error);
}

TEST(ChatData, EveryShapeAndEveryRefusal) {
  const auto path = fs::path(testing::TempDir()) / "ingot_shapes.jsonl";
  std::ofstream(path) << R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"time":"2020-01-01"})" "\n"
                      << R"({"conversations":[{"from":"human","value":"c"},{"from":"gpt","value":"d"}]})" "\n"
                      << R"({"instruction":"e","input":"f","output":"g"})" "\n"
                      << R"({"messages":[{"role":"user","content":[{"type":"text","text":"h"}]},{"role":"assistant","content":"i"}]})" "\n"
                      << R"({"prompt":"a2","completion":"b2"})" "\n"
                      << R"({"prompt":"a2","completion":"b2"})" "\n"
                      << R"({"prompt":"a2","completion":"other"})" "\n"
                      << R"({"messages":[{"role":"tool","content":"x"}]})" "\n"
                      << R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})" "\n"
                      << "[1]\n{\"x\": 1}\n\n";
  ChatData data = read_chat(path.string(), "", "sys");
  drop_repeated(data);
  ASSERT_EQ(data.conversations.size(), 5u);
  EXPECT_GT(data.conversations[0].time, 0);
  EXPECT_EQ(data.conversations[0].messages[0].role, "system");
  EXPECT_EQ(data.conversations[1].messages[1].content, "c");
  EXPECT_EQ(data.conversations[2].messages[1].content, "e\n\nf");
  EXPECT_EQ(data.conversations[3].messages[1].content, "h");
  uint64_t skipped = 0;
  for (const auto& [reason, count] : data.skipped) skipped += count;
  EXPECT_EQ(skipped, 6u);
  const auto csv = fs::path(testing::TempDir()) / "ingot_faq.csv";
  std::ofstream(csv) << "Question,Answer\n\"how, then?\",\"so\nand so\"\nwhy,because\n";
  EXPECT_EQ(read_chat("csv:" + csv.string(), "", "").conversations.size(), 2u);
  const auto mapped = read_chat("csv:" + csv.string(), "prompt=Answer,completion=Question", "");
  EXPECT_EQ(mapped.conversations[0].messages[1].content, "how, then?");
  EXPECT_THROW(read_chat("csv:" + csv.string(), "prompt=Nope,completion=Answer", ""), Error);
  EXPECT_THROW(read_chat("csv:" + csv.string(), "engineer=x", ""), Error);
}

}  // namespace
}  // namespace ingot
