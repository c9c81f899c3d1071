// The rails on the routes: two AIs side by side, questions for one, the other and neither.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "foundry/ai.h"
#include "foundry/build.h"
#include "recorded_exchange.h"
#include "serve/service.h"

namespace ingot {
namespace {

using nlohmann::json;

HttpRequest to(std::string path, const json& body) {
  HttpRequest request;
  request.method = body.is_null() ? "GET" : "POST";
  request.path = std::move(path);
  request.body = body.is_null() ? "" : body.dump();
  return request;
}

class GuardRoutes : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto folder = std::filesystem::path(testing::TempDir()) / "guard_routes";
    std::filesystem::create_directories(folder);
    const std::vector<std::vector<std::string>> verbs = {{"moor", "steer", "anchor", "unload"}, {"prune", "water", "plant", "fell"}};
    const std::vector<std::vector<std::string>> nouns = {{"tugboat", "freighter", "ferry", "barge", "tanker"}, {"oak", "maple", "willow", "pear tree", "hedge"}};
    const std::vector<std::vector<std::string>> places = {{"at the pier", "in dry dock", "off the coast", "on the river"}, {"in the orchard", "behind the hedge", "in spring", "with dry leaves"}};
    const char* names[] = {"ships", "trees"};
    Random random(3);
    for (size_t a = 0; a < 2; ++a) {
      std::ofstream csv(folder / (std::string(names[a]) + ".csv"));
      csv << "text,label\n";
      for (int i = 0; i < 300; ++i) {
        const auto verb = random.below(4);
        csv << (i % 2 ? "please " : "") << verbs[a][verb] << " the " << nouns[a][random.below(5)] << " " << places[a][random.below(4)] << " now " << i % 7 << "," << verbs[a][verb] << "\n";
      }
      csv.close();
      Recipe recipe = parse_recipe("kind = \"classify\"\npurpose = \"knows about its own\"\n[guard]\ntopic = \"block\"\n", "recipe.toml");
      recipe.name = names[a];
      recipe.data.sources = {"csv:" + (folder / (std::string(names[a]) + ".csv")).string()};
      recipe.data.map = "text=text,label=label";
      build(recipe, folder / (std::string(names[a]) + ".ingot"), [](const std::string&) {});
      ais.push_back(Ai::open(folder / (std::string(names[a]) + ".ingot")));
    }
    service = std::make_unique<Service>(ais, "");
  }
  static void TearDownTestSuite() {
    service.reset();
    ais.clear();
  }
  static json ask(const std::string& path, const json& body, int status = 200) { return ask(*service, path, body, status); }
  static json ask(Service& of, const std::string& path, const json& body, int status = 200) {
    const auto exchange = std::make_shared<harness::RecordedExchange>(to(path, body));
    of.handle(exchange);
    EXPECT_EQ(exchange->status, status) << exchange->body;
    return json::parse(exchange->body, nullptr, false);
  }
  static std::vector<std::shared_ptr<const Ai>> ais;
  static std::unique_ptr<Service> service;
};
std::vector<std::shared_ptr<const Ai>> GuardRoutes::ais;
std::unique_ptr<Service> GuardRoutes::service;

const char* const kShips = "steer the freighter off the coast now 3";
const char* const kTrees = "prune the willow in the orchard now 2";
const char* const kNobody = "who should win the next election";

TEST_F(GuardRoutes, ClassifyDeclinesAndNamesTheOther) {
  const json answer = ask("/classify", {{"model", "ships"}, {"input", {kShips, kTrees, kNobody}}});
  ASSERT_EQ(answer["data"].size(), 3u);
  EXPECT_EQ(answer["data"][0]["label"], "steer");
  EXPECT_EQ(answer["data"][1]["guard"]["ask"], "trees");
  EXPECT_TRUE(answer["data"][1]["label"].is_null());
  EXPECT_FALSE(answer["data"][2]["guard"]["allowed"].get<bool>());
  EXPECT_FALSE(answer["data"][2]["guard"].contains("ask"));
  EXPECT_TRUE(answer["data"][2]["probs"].empty());
}

TEST_F(GuardRoutes, ChatSaysWhyAndWhomToAsk) {
  const json body = {{"model", "ships"}, {"messages", {{{"role", "user"}, {"content", kTrees}}}}};
  const json answer = ask("/v1/chat/completions", body);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "content_filter");
  const std::string said = answer["choices"][0]["message"]["content"];
  EXPECT_NE(said.find("Ask trees"), std::string::npos) << said;
  EXPECT_NE(said.find("knows about its own"), std::string::npos) << said;
}

TEST_F(GuardRoutes, AConversationIsPassedOnWhereTheSiteSaysSo) {
  auto models = std::make_unique<ModelRegistry>(RegistryOptions{});
  for (const auto& ai : ais) models->add(ai);
  Service passing(std::move(models), std::make_unique<LoopbackAccess>(), {"", 0, 2048, {.turn = false, .sources = {}}, true});
  const auto body = [](const char* text) { return json{{"model", "ships"}, {"max_tokens", 16}, {"messages", {{{"role", "user"}, {"content", text}}}}}; };
  const json own = ask(passing, "/v1/chat/completions", body(kShips)), other = ask(passing, "/v1/chat/completions", body(kTrees));
  EXPECT_EQ(own["model"], "ships");
  EXPECT_EQ(other["model"], "trees");
  EXPECT_EQ(other["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(other["choices"][0]["message"]["content"].get<std::string>().find("1. prune"), 0u) << other;
  const json nobody = ask(passing, "/v1/chat/completions", body(kNobody));
  EXPECT_EQ(nobody["model"], "ships");
  EXPECT_EQ(nobody["choices"][0]["finish_reason"], "content_filter");
  EXPECT_EQ(ask(passing, "/v1/messages", body(kTrees))["model"], "trees");
  EXPECT_EQ(ask(passing, "/v1/responses", {{"model", "ships"}, {"input", kTrees}})["model"], "trees");
}

TEST_F(GuardRoutes, AFollowUpIsJudgedWithItsConversation) {
  const json alone = {{{"role", "user"}, {"content", "and why?"}}};
  const json behind = {{{"role", "user"}, {"content", kTrees}}, {{"role", "assistant"}, {"content", "1. prune"}}, {{"role", "user"}, {"content", "and why?"}}};
  for (const auto& [messages, reason] : {std::pair{alone, "content_filter"}, {behind, "stop"}})
    EXPECT_EQ(ask("/v1/chat/completions", {{"model", "trees"}, {"messages", messages}})["choices"][0]["finish_reason"], reason) << messages;
  EXPECT_EQ(ask("/v1/messages", {{"model", "trees"}, {"max_tokens", 16}, {"messages", behind}})["stop_reason"], "end_turn");
}

TEST_F(GuardRoutes, CheckAndRoute) {
  const json checked = ask("/v1/guard/check", {{"model", "trees"}, {"input", {kTrees, kNobody}}});
  EXPECT_TRUE(checked["data"][0]["allowed"].get<bool>());
  EXPECT_EQ(checked["data"][1]["rail"], "topic");
  const json routed = ask("/v1/route", {{"input", {kShips, kTrees, kNobody}}});
  EXPECT_EQ(routed["data"][0]["ai"], "ships");
  EXPECT_EQ(routed["data"][1]["ai"], "trees");
  EXPECT_TRUE(routed["data"][2]["ai"].is_null());
  ask("/v1/route", {{"input", 3}}, 400);
  const json metadata = ask("/v1/metadata", json());
  EXPECT_TRUE(metadata["ais"][0]["report"]["guard"]["topic"].contains("off_topic_stopped"));
}

TEST_F(GuardRoutes, EveryRailAndStageIsShown) {
  const json checked = ask("/v1/guard/check", {{"model", "trees"}, {"input", kNobody}});
  EXPECT_EQ(checked["data"][0]["rails"][0]["rail"], "topic");
  EXPECT_TRUE(checked["data"][0]["rails"][0]["found"].get<bool>());
  EXPECT_TRUE(checked["data"][0]["rails"][0]["threshold"].is_number());
  EXPECT_TRUE(ask("/v1/guard/check", {{"model", "trees"}, {"input", "and why?"}, {"earlier", {kTrees}}})["data"][0]["allowed"].get<bool>());
  EXPECT_FALSE(ask("/v1/guard/check", {{"model", "trees"}, {"input", "and why?"}, {"earlier", {kNobody}}})["data"][0]["allowed"].get<bool>());
  EXPECT_TRUE(ask("/v1/guard/check", {{"model", "trees"}, {"input", kNobody}, {"stage", "output"}})["data"][0]["allowed"].get<bool>()) << "no rail looks at output";
  ask("/v1/guard/check", {{"model", "trees"}, {"input", "x"}, {"stage", "nowhere"}}, 400);
  const json counts = ask("/v1/guard/counts/trees", json());
  EXPECT_EQ(counts["data"][0]["rail"], "topic");
  EXPECT_GE(counts["data"][0]["blocked"].get<int>(), 1);
}

TEST_F(GuardRoutes, ModerationsHaveOpenAisShape) {
  const json answer = ask("/v1/moderations", {{"model", "omni-moderation-latest"}, {"input", {kShips, kNobody}}});
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("modr-"));
  ASSERT_EQ(answer["results"].size(), 2u);
  EXPECT_FALSE(answer["results"][0]["flagged"].get<bool>());
  EXPECT_TRUE(answer["results"][1]["flagged"].get<bool>());
  EXPECT_TRUE(answer["results"][1]["categories"]["off_topic"].get<bool>());
  EXPECT_GT(answer["results"][1]["category_scores"]["off_topic"].get<double>(), 0.5);
  EXPECT_TRUE(answer["results"][0]["categories"]["hate"].is_null()) << "what is not judged is not called harmless";
  ask("/v1/moderations", {{"input", {{{"type", "image_url"}}}}}, 400);
}

}  // namespace
}  // namespace ingot
