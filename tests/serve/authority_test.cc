#include "serve/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "serve/cost_report.h"
#include "serve/site.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::string_view kChat[] = {"chat", "infer"}, kAdmin[] = {"admin"};
constexpr int64_t kNoon = 20000LL * 86400'000 + 43200'000;  // milliseconds

class AuthorityTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("authority_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    database_ = std::make_unique<Database>(folder_);
    keys_ = std::make_unique<KeyStore>(*database_);
    usage_ = std::make_unique<UsageStore>(*database_, false);
  }
  void TearDown() override {
    usage_.reset();
    fs::remove_all(folder_);
  }
  std::unique_ptr<Authority> authority(AuthorityOptions options = {}) {
    options.now = [this] { return now_; };
    return std::make_unique<Authority>(keys_.get(), usage_.get(), database_.get(), options);
  }
  std::string key(const std::string& name, KeyLimits limits = {}, std::vector<std::string> scopes = {}, int64_t expires = 0) {
    ApiKey key;
    key.name = name;
    key.limits = limits;
    key.scopes = std::move(scopes);
    key.expires = expires;
    key.priority = 3;
    return keys_->create(key);
  }

  int64_t now_ = kNoon;
  fs::path folder_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<UsageStore> usage_;
};

TEST_F(AuthorityTest, LoopbackIsOpenUntilThereIsAKey) {
  EXPECT_TRUE(authority()->authorize("", "127.0.0.1", kChat).allowed());
  EXPECT_EQ(authority({.loopback = false})->authorize("", "10.0.0.9", kChat).status, 401);
  EXPECT_TRUE(authority({.loopback = false})->authorize("", "10.0.0.9", {}).allowed());  // liveness
  EXPECT_EQ(authority({.master_key = "m"})->authorize("", "127.0.0.1", kChat).status, 401);
  EXPECT_TRUE(authority({.master_key = "m"})->authorize("m", "127.0.0.1", kAdmin).allowed());
  EXPECT_EQ(authority({.master_key = "m"})->authorize("n", "127.0.0.1", kAdmin).code, "invalid_api_key");
  const auto running = authority();
  EXPECT_FALSE(running->keys_required());
  {
    Database other(folder_);  // another process makes a key: the running service closes within a second
    KeyStore(other).create([] {
      ApiKey key;
      key.name = "first";
      return key;
    }());
  }
  now_ += 1000;
  EXPECT_TRUE(running->keys_required());
  EXPECT_EQ(running->authorize("", "127.0.0.1", kChat).code, "missing_api_key");
}

TEST_F(AuthorityTest, KnowsScopesExpiryRotationAndRevocation) {
  const std::string plain = key("plain"), admin = key("admin", {}, {"admin"}), brief = key("brief", {}, {}, now_ / 1000 + 60);
  const auto guard = authority();
  const Decision good = guard->authorize(plain, "1.1.1.1", kChat);
  EXPECT_TRUE(good.allowed());
  EXPECT_EQ(good.grant.key_name, "plain");
  EXPECT_EQ(good.grant.priority, 3);
  EXPECT_EQ(guard->authorize(plain, "1.1.1.1", kAdmin).status, 403);
  EXPECT_THAT(guard->authorize(plain, "1.1.1.1", kAdmin).message, HasSubstr("lacks the scope admin"));
  EXPECT_TRUE(guard->authorize(admin, "1.1.1.1", kChat).allowed());
  EXPECT_TRUE(guard->authorize(brief, "1.1.1.1", kChat).allowed());
  now_ += 61'000;
  EXPECT_THAT(guard->authorize(brief, "1.1.1.1", kChat).message, HasSubstr("expired"));
  {
    Database other(folder_);
    KeyStore(other).revoke("plain");
  }
  now_ += 1000;
  EXPECT_THAT(guard->authorize(plain, "1.1.1.1", kChat).message, HasSubstr("revoked"));
  EXPECT_EQ(guard->authorize(plain.substr(0, 20), "1.1.1.1", kChat).status, 401);
}

TEST_F(AuthorityTest, LimitsRequestsAMinute) {
  const std::string slow = key("slow", {.requests_per_minute = 6});
  const auto guard = authority();
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(guard->authorize(slow, "a", kChat).allowed()) << i;
  const Decision refused = guard->authorize(slow, "a", kChat);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.retry_after_s, 10);  // one in ten seconds
  now_ += 9'000;
  EXPECT_EQ(guard->authorize(slow, "a", kChat).status, 429);
  now_ += 1'000;
  EXPECT_TRUE(guard->authorize(slow, "a", kChat).allowed());
  EXPECT_EQ(guard->authorize(slow, "a", kChat).status, 429);
}

TEST_F(AuthorityTest, PagesDoNotCountAndANewKeyWorksAtOnce) {
  const std::string slow = key("slow", {.requests_per_minute = 1});
  const auto guard = authority();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(guard->authorize(slow, "a", kChat, false).allowed()) << i;
  EXPECT_TRUE(guard->authorize(slow, "a", kChat).allowed());
  EXPECT_EQ(guard->authorize(slow, "a", kChat).status, 429);
  EXPECT_TRUE(guard->authorize(slow, "a", kChat, false).allowed());
  Database other(folder_);
  ApiKey fresh;
  fresh.name = "fresh";
  EXPECT_TRUE(guard->authorize(KeyStore(other).create(fresh), "a", kChat).allowed());  // made by another process within this second
}

TEST_F(AuthorityTest, TheWaitIsForAsMuchAsTheLastRequestWanted) {
  const std::string brief = key("brief", {.tokens_per_minute = 60});
  const auto guard = authority();
  const Decision first = guard->authorize(brief, "a", kChat);
  EXPECT_TRUE(guard->take(first.grant, 40).allowed());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(guard->take(first.grant, 1).allowed()) << i;
  EXPECT_EQ(guard->authorize(brief, "a", kChat).retry_after_s, 40);
  now_ += 40'000;
  EXPECT_TRUE(guard->take(guard->authorize(brief, "a", kChat).grant, 40).allowed());
}

TEST_F(AuthorityTest, LimitsTokensAMinuteADayAndAMonth) {
  const std::string minute = key("minute", {.tokens_per_minute = 600}), day = key("day", {.tokens_per_day = 1000}), month = key("month", {.tokens_per_month = 1500});
  const auto guard = authority();
  const auto spend = [&](const std::string& key, int64_t tokens) {
    const Decision decision = guard->authorize(key, "a", kChat);
    if (decision.allowed()) {
      guard->spent(decision.grant, tokens);
      usage_->add({now_ / 1000, decision.grant.key_id, "m", "", false, tokens, 0, 0, 1});
    }
    return decision;
  };
  EXPECT_TRUE(spend(minute, 900).allowed());  // the request that passes the limit is served
  const Decision late = spend(minute, 1);
  EXPECT_EQ(late.status, 429);
  EXPECT_EQ(late.retry_after_s, 31);  // 301 tokens at ten a second
  now_ += 31'000;
  EXPECT_TRUE(spend(minute, 1).allowed());

  EXPECT_TRUE(spend(day, 1000).allowed());
  const Decision over = spend(day, 1);
  EXPECT_EQ(over.code, "insufficient_quota");
  EXPECT_EQ(over.retry_after_s, 43200 - 31);  // until midnight
  EXPECT_EQ(authority()->authorize(day, "a", kChat).status, 429);  // after a restart too
  now_ += 43200'000;
  EXPECT_TRUE(spend(day, 1).allowed());

  EXPECT_TRUE(spend(month, 1600).allowed());
  now_ += 86400'000;
  EXPECT_EQ(spend(month, 1).code, "insufficient_quota");
  now_ += 31 * 86400'000LL;
  EXPECT_TRUE(spend(month, 1).allowed());
}

TEST_F(AuthorityTest, ManyWrongKeysFromOneAddressAreTurnedAway) {
  const std::string good = key("good");
  const auto guard = authority({.failures_per_minute = 5});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(guard->authorize("wrong", "6.6.6.6", kChat).status, 401);
  const Decision refused = guard->authorize("wrong", "6.6.6.6", kChat);
  EXPECT_EQ(refused.status, 429);
  EXPECT_GT(refused.retry_after_s, 0);
  EXPECT_EQ(guard->authorize("wrong", "7.7.7.7", kChat).status, 401);
  EXPECT_TRUE(guard->authorize(good, "6.6.6.6", kChat).allowed());  // who has a key is not shut out by a neighbour
  now_ += 13'000;
  EXPECT_EQ(guard->authorize("wrong", "6.6.6.6", kChat).status, 401);
}

TEST_F(AuthorityTest, SharesTheCostByTheTimeWorked) {
  key("ann");
  key("ben");
  const auto list = keys_->list();
  const int64_t hour = 3600 * 500000;
  usage_->add({hour, list[0].id, "bot", "h1", false, 600'000, 0, 400'000, 300});
  usage_->add({hour, list[1].id, "bot", "h1", false, 100, 0, 100, 60});
  usage_->add({hour + 3600, list[1].id, "=other", "h2", true, 0, 0, 0, 40});
  usage_->flush();
  {
    const auto lock = database_->lock();
    database_->prepare("INSERT INTO uptime VALUES(?,?)").bind(int64_t{500000}).bind(3600.0).run();
    database_->prepare("INSERT INTO uptime VALUES(?,?)").bind(int64_t{500001}).bind(1800.0).run();
  }
  const CostReport report = cost_report(*usage_, list, hour, hour + 7200, 2.0, "USD");
  EXPECT_DOUBLE_EQ(report.hours, 1.5);
  EXPECT_DOUBLE_EQ(report.dollars, 3.0);
  ASSERT_EQ(report.users.size(), 2u);
  EXPECT_DOUBLE_EQ(report.users[0].dollars, 2.25);  // ann: 300 of 400 seconds
  EXPECT_DOUBLE_EQ(report.users[1].dollars, 0.75);
  ASSERT_EQ(report.ais.size(), 2u);
  EXPECT_EQ(report.ais[1].model, "bot");
  EXPECT_DOUBLE_EQ(report.ais[1].dollars, 2.7);
  EXPECT_NEAR(report.per_million_tokens(), 3.0 / 1.0002, 1e-9);
  const auto parsed = nlohmann::json::parse(report.json());
  EXPECT_DOUBLE_EQ(parsed["users"][0]["dollars_per_million_tokens"].get<double>(), 2.25);
  EXPECT_THAT(report.csv(), HasSubstr("\"ben\",\"'=other\",\"h2\",1,1,0,0,0,40.000,0.100000,0.300000,0.000000\n"));
  EXPECT_EQ(cost_report(*usage_, list, hour, hour + 3600, 2.0, "USD").dollars, 2.0);
}

TEST(Site, IsReadAndUnknownKeysAreRefusedWithTheirLine) {
  const Site site = parse_site("data = \"state\"\n[serve]\nhost = \"0.0.0.0\"\nport = 8443\nnames = [\"ai.example\"]\n[tls]\ncertificate = \"c.pem\"\nkey = \"/etc/k.pem\"\n"
                               "[cost]\nprice_per_hour = 1.5\ncurrency = \"EUR\"\n[log]\nrequests = true\ndays = 7\n", "site.toml", "/etc/ingot");
  EXPECT_EQ(site.data, "/etc/ingot/state");
  EXPECT_EQ(site.port, 8443);
  EXPECT_EQ(site.certificate, "/etc/ingot/c.pem");
  EXPECT_EQ(site.key, "/etc/k.pem");
  EXPECT_EQ(site.price_per_hour, 1.5);
  EXPECT_TRUE(site.log_requests && site.log_redact && site.tls());
  EXPECT_FALSE(parse_site("", "s", "").log_requests);
  const auto refused = [](const std::string& text, const std::string& words) {
    try {
      parse_site(text, "s", "");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(words)) << text;
    }
  };
  refused("[serve]\nhost = \"::1\"\nprot = 80\n", "s:3: \"serve.prot\" is not a key here; did you mean \"port\"?");
  refused("data = \"state\"\nhost = \"::1\"\n", "s:2: \"host\" stands outside its table; write it below [serve]");
  refused("[serve]\nport = 70000\n", "s:2");
  refused("[tls]\ncertificate = \"c\"\n", "\"tls.key\" is missing");
  refused("[cost]\nprice_per_hour = -1\n", "outside");
  refused("[cost]\nprice_per_hour = nan\n", "outside");
  refused("[log]\nrequests = \"yes\"\n", "must be true or false");
  refused("x = [", "s:1");
}

}  // namespace
}  // namespace ingot
