#include "serve/keyed_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "net/http_server.h"
#include "recorded_exchange.h"
#include "serve/api_route.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class KeyedAccessTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("INGOT_API_KEY");
    folder_ = std::filesystem::path(testing::TempDir()) / ("keyed_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override {
    unsetenv("INGOT_API_KEY");
    std::filesystem::remove_all(folder_);
  }
  std::string key(const std::string& name, std::vector<std::string> scopes = {}, KeyLimits limits = {}) {
    Database database(folder_);
    ApiKey key;
    key.name = name;
    key.scopes = std::move(scopes);
    key.limits = limits;
    return KeyStore(database).create(key);
  }
  static HttpRequest request(const std::string& method, const std::string& path, const std::string& secret = "", const std::string& body = "") {
    HttpRequest out;
    out.method = method;
    out.path = path;
    out.body = body;
    out.peer = "192.0.2.7";
    out.headers = {{"host", "127.0.0.1"}};
    if (!secret.empty()) out.headers.push_back({"authorization", "Bearer " + secret});
    return out;
  }
  int status_of(Access& access, const ApiRoute& route, const std::string& secret) {
    try {
      access.admit(route, request(std::string(route.method), std::string(route.path), secret));
      return 200;
    } catch (const Refusal& refusal) {
      return refusal.status;
    }
  }
  std::filesystem::path folder_;
};

TEST_F(KeyedAccessTest, OffLoopbackEveryRouteButLivenessAsksForAKey) {
  const std::string admin = key("admin", {"admin"}), reader = key("reader", {"read"}), chatter = key("chatter", {"chat"}), wrong = "ingot_" + std::string(43, 'A');
  KeyedAccess access(folder_, false, {}, Site{});
  size_t live = 0, all = 0;
  for (const ApiRoute& route : api_routes()) {
    ++all;
    const bool open = route.scope == Scope::kLive;
    live += open;
    EXPECT_EQ(status_of(access, route, ""), open ? 200 : 401) << route.path;
    EXPECT_EQ(status_of(access, route, wrong) == 200, open) << route.path;
    EXPECT_EQ(status_of(access, route, admin), 200) << route.path;
    EXPECT_EQ(status_of(access, route, reader), open || route.scope == Scope::kAny || route.scope == Scope::kRead ? 200 : 403) << route.path;
  }
  EXPECT_EQ(live, 1u);
  EXPECT_GT(all, 10u);
  EXPECT_EQ(status_of(access, *match_route("GET", "/").route, chatter), 200);  // the console opens with any key
  EXPECT_EQ(status_of(access, *match_route("POST", "/v1/chat/completions").route, chatter), 200);
  EXPECT_EQ(status_of(access, *match_route("POST", "/classify").route, chatter), 403);
}

TEST_F(KeyedAccessTest, WithoutAnyKeyItDoesNotStartOffLoopback) {
  EXPECT_THROW(KeyedAccess(folder_, false, {}, Site{}), Error);
  setenv("INGOT_API_KEY", "of the environment", 1);
  KeyedAccess access(folder_, false, {}, Site{});
  EXPECT_EQ(status_of(access, *match_route("GET", "/v1/models").route, "of the environment"), 200);
  EXPECT_EQ(status_of(access, *match_route("GET", "/v1/models").route, ""), 401);
}

TEST_F(KeyedAccessTest, RecordsUseCostAndWordsBehindTheService) {
  const std::string admin = key("admin", {"admin"}), ann = key("ann", {}, {.requests_per_minute = 2}), cas = key("cas", {"chat"});
  Site site;
  site.price_per_hour = 3600;
  site.log_requests = true;
  RegistryOptions registry;
  auto models = std::make_unique<ModelRegistry>(registry);
  models->add("ingot-base");
  Service service(std::move(models), std::make_unique<KeyedAccess>(folder_, true, std::vector<std::string>{}, site), {"", 0, 16});
  const auto ask = [&](const HttpRequest& request) {
    auto exchange = std::make_shared<harness::RecordedExchange>(request);
    service.handle(exchange);
    return exchange;
  };
  const std::string body = json{{"model", "ingot-base"}, {"prompt", "Write to jane.doe@example.com about the kernel"}, {"max_tokens", 4}, {"temperature", 0}, {"user", "jane"}}.dump();
  EXPECT_EQ(ask(request("POST", "/v1/completions", "", body))->status, 401);
  for (int i = 0; i < 2; ++i) {
    const auto answer = ask(request("POST", "/v1/completions", ann, body));
    EXPECT_EQ(answer->status, 200) << answer->body;
  }
  const auto third = ask(request("POST", "/v1/completions", ann, body));
  EXPECT_EQ(third->status, 429);
  EXPECT_EQ(json::parse(third->body)["error"]["code"], "rate_limit_exceeded");
  EXPECT_THAT(third->headers, testing::Contains(testing::Pair("Retry-After", testing::Not("0"))));

  const json whole = json::parse(ask(request("GET", "/v1/caller", admin))->body), lesser = json::parse(ask(request("GET", "/v1/caller", cas))->body);
  EXPECT_EQ(whole["name"], "admin");
  EXPECT_EQ(whole["scopes"], json::array({"admin"}));
  EXPECT_EQ(lesser["scopes"], json::array({"chat"}));
  EXPECT_THAT(ask(request("POST", "/v1/completions", admin, "{\"model\": \"ingot-base\",\n \"prompt\": 'a'}"))->body, HasSubstr("the body is not JSON: line 2, column 12"));

  const json cost = json::parse(ask(request("GET", "/v1/cost", admin))->body);
  ASSERT_EQ(cost["users"].size(), 1u) << cost;
  EXPECT_EQ(cost["users"][0]["user"], "ann");
  EXPECT_EQ(cost["users"][0]["requests"], 2);
  EXPECT_EQ(cost["users"][0]["generated_tokens"], 8);
  EXPECT_GT(cost["dollars"].get<double>(), 0);
  EXPECT_EQ(ask(request("GET", "/v1/cost", ann))->status, 403);
  const json keys = json::parse(ask(request("GET", "/v1/keys", admin))->body);
  EXPECT_EQ(keys["data"][1]["name"], "ann");
  EXPECT_GT(keys["data"][1]["tokens_today"].get<int>(), 8);
  EXPECT_EQ(keys.dump().find(ann.substr(12)), std::string::npos);

  auto* log = dynamic_cast<KeyedAccess&>(service.access()).request_log();
  ASSERT_EQ(log->size(), 2);
  log->each(0, [&](const LoggedRequest& entry) {
    EXPECT_EQ(entry.user, "jane");
    EXPECT_THAT(entry.question, HasSubstr("about the kernel"));
    EXPECT_EQ(entry.question.find("jane.doe"), std::string::npos);
    EXPECT_FALSE(entry.reply.empty());
  });
  EXPECT_EQ(log->remove_user("jane"), 2);
}

// An answer ends at the last token that its key may use: none is given away, and none is counted that was not given.
TEST_F(KeyedAccessTest, AnswersAreCutAtTheKeysTokens) {
  const std::string day = key("day", {"admin"}, {.tokens_per_day = 20}), minute = key("minute", {}, {.tokens_per_minute = 60});
  auto models = std::make_unique<ModelRegistry>(RegistryOptions{});
  models->add("ingot-base");
  Service service(std::move(models), std::make_unique<KeyedAccess>(folder_, true, std::vector<std::string>{}, Site{}), {"", 0, 16});
  const auto ask = [&](const std::string& secret, const std::string& prompt, bool stream = false) {
    const json body = {{"model", "ingot-base"}, {"prompt", prompt}, {"max_tokens", 100}, {"temperature", 0}, {"ignore_eos", true}, {"stream", stream}};
    auto exchange = std::make_shared<harness::RecordedExchange>(request("POST", "/v1/completions", secret, body.dump()));
    service.handle(exchange);
    return exchange;
  };
  std::string long_prompt;
  for (int i = 0; i < 40; ++i) long_prompt += "the kernel ";
  const auto too_long = ask(day, long_prompt);
  EXPECT_EQ(too_long->status, 429) << too_long->body;
  EXPECT_EQ(json::parse(too_long->body)["error"]["code"], "insufficient_quota");
  const json answer = json::parse(ask(day, "The kernel")->body);  // the refused one took nothing
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length") << answer;
  EXPECT_EQ(answer["usage"]["total_tokens"], 20);
  EXPECT_EQ(ask(day, "The")->status, 429);
  const json whole = json::parse([&] {
    const json body = {{"model", "ingot-base"}, {"prompt", "The kernel"}, {"max_tokens", 100}, {"temperature", 0}, {"ignore_eos", true}};
    const std::string free = key("free");
    auto exchange = std::make_shared<harness::RecordedExchange>(request("POST", "/v1/completions", free, body.dump()));
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // keys are looked up once a second
    service.handle(exchange);
    return exchange->body;
  }());
  EXPECT_TRUE(whole["choices"][0]["text"].get<std::string>().starts_with(answer["choices"][0]["text"].get<std::string>()));
  // The same in a stream, by the minute; the bucket fills a token a second meanwhile.
  const std::string streamed = ask(minute, "The kernel", true)->body;
  EXPECT_THAT(streamed, HasSubstr("\"finish_reason\":\"length\""));
  size_t events = 0;
  for (size_t at = streamed.find("data: {"); at != std::string::npos; at = streamed.find("data: {", at + 1)) ++events;
  EXPECT_GT(events, 30u);
  EXPECT_LT(events, 75u);
  EXPECT_EQ(ask(minute, "The kernel of")->status, 429);
}

TEST(RequestWords, AreTheWordsOfEveryApi) {
  std::string user;
  EXPECT_EQ(words_of_request(R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"user","content":"b"}],"user":"u"})", &user), "a\nb");
  EXPECT_EQ(user, "u");
  EXPECT_EQ(words_of_request(R"({"system":"s","messages":[],"metadata":{"user_id":"v"}})", &user), "s");
  EXPECT_EQ(user, "v");
  EXPECT_EQ(words_of_request("not JSON", &user), "");
  EXPECT_EQ(words_of_reply(R"({"choices":[{"message":{"role":"assistant","content":"hello"}}]})"), "hello");
  EXPECT_EQ(words_of_reply("data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\ndata: [DONE]\n\n"), "hello");
  EXPECT_EQ(words_of_reply("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n"), "hi");
}

}  // namespace
}  // namespace ingot
