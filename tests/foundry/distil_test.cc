// `ingot distil` over a tiny base: by logits, by texts, and by the texts of a teacher behind an address.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "core/error.h"
#include "foundry/ai.h"
#include "foundry/distil/distil_chat.h"
#include "foundry/distil/distil_labels.h"
#include "net/http_server.h"
#include "tiny_chat_base.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Answers as an OpenAI-compatible service, a fixed text; and as it is told to, otherwise.
class FakeTeacher {
 public:
  FakeTeacher()
      : server_("127.0.0.1", 0, HttpLimits(), [this](std::shared_ptr<HttpExchange> exchange) { answer(*exchange); }, [](int, std::string_view message) { return std::string(message); }),
        thread_([this] { server_.run(); }) {}
  ~FakeTeacher() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()) + "/v1"; }

  std::atomic<int> asked{0}, busy{0}, answers_left{1 << 30};
  std::string last_body, last_key;

 private:
  void answer(HttpExchange& exchange) {
    ++asked;
    last_body = exchange.request().body;
    last_key = exchange.request().header("authorization");
    if (exchange.request().path != "/v1/chat/completions") return exchange.send(404, "text/plain", "no");
    if (busy-- > 0) return exchange.send(429, "text/plain", "later", {{"Retry-After", "0"}});
    if (answers_left-- <= 0) return exchange.send(503, "text/plain", "gone");
    exchange.send(200, "application/json", json{{"choices", {{{"message", {{"role", "assistant"}, {"content", "it is green"}}}}}}}.dump());
  }
  HttpServer server_;
  std::thread thread_;
};

class Distil : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("distil_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    harness::write_tiny_chat_base(folder_ / "base.gguf");
    std::ofstream data(folder_ / "talk.jsonl");
    for (int i = 0; i < 60; ++i) data << json{{"question", "what is the colour of stone number " + std::to_string(i)}, {"answer", "it is blue"}}.dump() << "\n";
    data.close();
    recipe_ = parse_recipe("kind = \"chat\"\n[chat]\nbatch = 8\njudged = 4\nmax_tokens = 8\n", "test");
    recipe_.name = "small";
    recipe_.data.sources = {(folder_ / "talk.jsonl").string()};
    plan_.teacher = (folder_ / "base.gguf").string();
    plan_.student = "18K";
    plan_.steps = 40;
    plan_.rate = 0.01;
    plan_.remote.retry.attempts = 3;
    plan_.remote.retry.first_wait = std::chrono::milliseconds(1);
  }
  void TearDown() override { fs::remove_all(folder_); }
  json run() { return distil_chat(recipe_, plan_, folder_ / "small.ingot", [](const std::string&) {}); }
  json provenance() { return json::parse(Ai::open(folder_ / "small.ingot")->archive().manifest())["provenance"]; }
  fs::path folder_;
  Recipe recipe_;
  DistilPlan plan_;
};

TEST_F(Distil, LogitsTeachAndTheReportIsWhole) {
  const json report = run();
  for (const char* who : {"teacher", "student", "student_alone"})
    for (const char* what : {"quality", "bytes", "tokens_per_s", "memory", "perplexity"}) EXPECT_TRUE(report[who].contains(what)) << who << " " << what;
  EXPECT_LT(report["student"]["parameters"].get<int64_t>(), report["teacher"]["parameters"].get<int64_t>());
  EXPECT_LT(report["student_alone"]["perplexity"].get<double>(), report["teacher"]["perplexity"].get<double>());  // it learnt the answers
  const auto ai = Ai::open(folder_ / "small.ingot");
  EXPECT_EQ(ai->kind(), "chat");
  EXPECT_TRUE(ai->archive().has("model.gguf"));
  EXPECT_FALSE(provenance().contains("cut_from"));
}

// A small trunk for a classifier and for bugs: judged beside the words alone, packed where it is, and named in the table.
TEST_F(Distil, ASmallTrunkReadsForWhatSortsTexts) {
  const char* verbs[2][3] = {{"open", "unlock", "widen"}, {"paint", "varnish", "polish"}};
  std::ofstream texts(folder_ / "texts.jsonl"), bugs(folder_ / "bugs.jsonl");
  for (int i = 0; i < 240; ++i) {
    const int which = (i * 7 + i / 3) % 2;
    const std::string text = std::string(verbs[which][i % 3]) + " the green stone number " + std::to_string(i) + " of the sea";
    texts << json{{"text", text}, {"label", which ? "paint" : "open"}}.dump() << "\n";
    bugs << json{{"id", i}, {"text", text}, {"engineer", which ? "ann" : "bob"}, {"component", which ? "walls" : "doors"}, {"time", "2024-01-0" + std::to_string(1 + i / 40)}}.dump() << "\n";
  }
  texts.close();
  bugs.close();
  plan_.steps = 20;
  for (const auto& [kind, source, measure] : {std::tuple{"classify", "texts.jsonl", "accuracy"}, {"triage", "bugs.jsonl", "top-1"}}) {
    SCOPED_TRACE(kind);
    Recipe recipe = parse_recipe(std::string("kind = \"") + kind + "\"\n[guard]\ntopic = \"off\"\n[gate]\n", "test");
    recipe.name = "small";
    recipe.data.sources = {"jsonl:" + (folder_ / source).string()};
    const fs::path out = folder_ / (std::string(kind) + ".ingot");
    json report = distil_labels(recipe, plan_, out, [](const std::string&) {});
    EXPECT_EQ(report["measure"], measure);
    EXPECT_GT(report["student"]["quality"].get<double>(), 0.9);
    EXPECT_LE(report["student"]["parameters"].get<int64_t>(), 18'000);
    for (const char* key : {"words_alone", "student_alone"}) EXPECT_TRUE(report[key].contains("quality")) << key;
    EXPECT_TRUE(report["gain"][measure].contains("low"));
    price_distilled(report, 3.6);
    EXPECT_NEAR(report["student"]["cost_per_million_tokens"].get<double>() * report["student"]["tokens_per_s"].get<double>(), 1000, 1e-6);
    EXPECT_NE(distil_table(report).find("cost a million"), std::string::npos);
    EXPECT_EQ(Ai::open(out)->kind(), kind);
  }
}

TEST_F(Distil, ATeacherBehindAnAddressIsAskedInBoundsAndGoesOn) {
  FakeTeacher teacher;
  plan_.teacher = teacher.url();
  plan_.alone = false;
  EXPECT_THROW(run(), Error);  // what is it cut from?
  plan_.cut_from = (folder_ / "base.gguf").string();
  EXPECT_THROW(run(), Error);  // logits do not come through an API
  plan_.on = "text";
  EXPECT_THROW(run(), Error);  // no name there
  plan_.remote.model = "large";
  EXPECT_THROW(run(), Error);  // no word about its licence
  EXPECT_EQ(teacher.asked, 0);
  plan_.remote.licence = "Apache-2.0";
  plan_.remote.key = "secret-key";
  teacher.busy = 2;
  teacher.answers_left = 4 + 10;  // the four that judge it, and then not much more
  try {
    run();
    FAIL() << "it cannot be done";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::environment);
    EXPECT_NE(std::string(error.what()).find("gives no answer: it says 503"), std::string::npos) << error.what();
  }
  const int before = teacher.asked;
  teacher.answers_left = 1 << 30;
  const json report = run();
  EXPECT_EQ(teacher.asked - before, 4 + 48 - 10);  // only what it had not said yet
  EXPECT_EQ(teacher.last_key, "Bearer secret-key");
  const json body = json::parse(teacher.last_body);
  EXPECT_EQ(body["model"], "large");
  EXPECT_EQ(body["temperature"], 0);
  EXPECT_EQ(body["messages"].back()["role"], "user");
  EXPECT_FALSE(report["teacher"].contains("bytes"));
  EXPECT_NEAR(report["teacher"]["quality"].get<double>(), 2.0 / 3, 1e-9);  // "it is green" for "it is blue"
  EXPECT_NE(distil_table(report).find("teacher"), std::string::npos);
  EXPECT_NE(distil_svg(report).find("student"), std::string::npos);
  const json from = provenance();
  EXPECT_EQ(from["teacher"], teacher.url());
  EXPECT_EQ(from["teacher_model"], "large");
  EXPECT_EQ(from["teacher_licence"], "Apache-2.0");
  EXPECT_EQ(from.dump().find("secret-key"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "small.ingot.answers.jsonl"));
  // It says what it was taught, not what the data have.
  const auto ai = Ai::open(folder_ / "small.ingot");
  Engine engine(ai->chat().model(), ai->chat().base->tokenizer, default_team(), {});
  Generation request;
  request.prompt = ai->chat().prompt->tokens({{"user", "what is the colour of stone number 7"}}, true);
  request.limit = 8;
  request.sampling.temperature = 0;
  EXPECT_NE(engine.generate(request).text.find("green"), std::string::npos);
  plan_.teacher = "http://192.0.2.1/v1";
  EXPECT_THROW(run(), Error);  // the key would cross the network in the clear
}

}  // namespace
}  // namespace ingot
