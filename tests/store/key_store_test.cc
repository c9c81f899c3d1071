#include "store/key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <barrier>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "store/request_log.h"
#include "store/usage_store.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("store_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  static ApiKey named(const std::string& name) {
    ApiKey key;
    key.name = name;
    return key;
  }
  fs::path folder_;
};

// Python's hashlib is the reference:
// hashlib.blake2b(b"ingot_key", digest_size=32, key=bytes(range(32))).hexdigest()
TEST(KeyHash, IsKeyedBlake2b) {
  std::array<unsigned char, 32> secret;
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<unsigned char>(i);
  EXPECT_EQ(hex(keyed_hash(secret, "ingot_key")), "5a537aa506e2e47342dbcb76eaae63a695cfc31f7e8fc63c2bb8aa2cbaa57c65");
}

TEST_F(StoreTest, AKeyIsShownOnceAndKeptAsAHash) {
  std::string secret;
  {
    Database database(folder_);
    KeyStore keys(database);
    secret = keys.create(named("alice"));
    EXPECT_TRUE(looks_like_key(secret)) << secret;
    EXPECT_NE(secret, keys.create(named("bob")));
    EXPECT_THROW(keys.create(named("alice")), Error);
  }
  Database database(folder_);
  KeyStore keys(database);
  const auto list = keys.list();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].name, "alice");
  EXPECT_EQ(list[0].hint, secret.substr(0, 10));
  EXPECT_TRUE(same_hash(list[0].hash, keys.hash(secret)));
  EXPECT_FALSE(same_hash(list[0].hash, keys.hash(secret + "x")));
  EXPECT_EQ(list[0].scopes, (std::vector<std::string>{"feedback", "infer", "read"}));
  // Nowhere on the disk, and nothing there for other users to read.
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_EQ(read_file(entry.path()).find(secret.substr(10)), std::string::npos) << entry.path();
    struct stat info {};
    stat(entry.path().c_str(), &info);
    EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
  }
}

TEST_F(StoreTest, RotationKeepsTheOldKeyForAWhileAndRevocationEndsBoth) {
  Database database(folder_);
  KeyStore keys(database);
  const std::string old = keys.create(named("ci")), next = keys.rotate("ci", 3600);
  ApiKey key = keys.list()[0];
  EXPECT_TRUE(same_hash(key.hash, keys.hash(next)));
  ASSERT_TRUE(key.previous);
  EXPECT_TRUE(same_hash(*key.previous, keys.hash(old)));
  EXPECT_NEAR(static_cast<double>(key.previous_until - std::time(nullptr)), 3600, 5);
  keys.revoke("ci");
  EXPECT_FALSE(keys.list()[0].works(std::time(nullptr)));
  EXPECT_THROW(keys.revoke("ci"), Error);
  EXPECT_THROW(keys.rotate("nobody", 0), Error);
}

TEST_F(StoreTest, ALostSecretIsToldAndAnUnknownScopeToo) {
  {
    Database database(folder_);
    KeyStore keys(database);
    ApiKey key = named("x");
    key.scopes = {"chatt"};
    try {
      keys.create(key);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("did you mean \"chat\"?"));
    }
    keys.create(named("y"));
  }
  fs::remove(folder_ / "key.secret");
  Database database(folder_);
  EXPECT_THROW(KeyStore{database}, Error);
}

TEST(KeyLimits, AreReadAsPeopleWriteThem) {
  KeyLimits limits;
  read_rate("60/min,20000tokens/min", &limits);
  read_quota("1000000", &limits);
  read_quota("20000000tokens/month", &limits);
  EXPECT_EQ(limits, (KeyLimits{60, 20000, 1000000, 20000000}));
  for (const char* bad : {"", "x", "-1", "0", "60/hour", "1.5", "60/min,", "99999999999999999999"}) EXPECT_THROW(read_rate(bad, &limits), Error) << bad;
  for (const char* bad : {"", "5/week", "tokens", "1e6"}) EXPECT_THROW(read_quota(bad, &limits), Error) << bad;
  EXPECT_EQ(read_expiry("12h", 1000), 1000 + 12 * 3600);
  EXPECT_EQ(read_expiry("4w", 0), 4 * 7 * 86400);
  EXPECT_EQ(read_expiry("1970-01-02", 0), 2 * 86400);
  for (const char* bad : {"", "d", "5", "5m", "-5d", "2026-02-30", "1969-01-01"}) EXPECT_THROW(read_expiry(bad, 0), Error) << bad;
}

TEST_F(StoreTest, TheSchemaIsMigratedOnceAndANewerOneIsRefused) {
  // Often, as two that turn the log on in the same moment are rare.
  for (int round = 0; round < 40; ++round) {
    std::filesystem::remove_all(folder_);
    std::barrier start(4);
    std::vector<std::thread> openers;
    for (int i = 0; i < 4; ++i)
      openers.emplace_back([&] {
        start.arrive_and_wait();
        try {
          Database database(folder_);
        } catch (const Error& error) {
          ADD_FAILURE() << error.what();
        }
      });
    for (auto& opener : openers) opener.join();
  }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(Database::file_in(folder_).c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version=1000", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  try {
    Database database(folder_);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::environment);
    EXPECT_THAT(error.what(), HasSubstr("newer ingot"));
  }
  std::ofstream(Database::file_in(folder_)) << std::string(5000, 'x');
  try {
    Database database(folder_);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::input);
  }
}

TEST_F(StoreTest, UsageAddsUpByHourKeyAndAi) {
  Database database(folder_);
  {
    UsageStore usage(database, true);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 250; ++i) usage.add({7200 + i, 5, "m", "hash", i % 10 == 0, 10, 4, 3, 0.5});
      });
    for (auto& thread : threads) thread.join();
    usage.add({100, 5, "m", "hash", false, 1, 0, 1, 1});
    usage.add({7200, 6, "n", "", false, 1, 0, 1, 1});
    EXPECT_EQ(usage.tokens_since(5, 7200), 13000);  // before and after they are written
    usage.flush();
    EXPECT_EQ(usage.tokens_since(5, 7200), 13000);
    EXPECT_EQ(usage.tokens_since(5, 0), 13002);
  }
  UsageStore later(database, false);
  const auto rows = later.rows(7200, 7300);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].sum.requests, 1000);
  EXPECT_EQ(rows[0].sum.failed, 100);
  EXPECT_EQ(rows[0].sum.cached_tokens, 4000);
  EXPECT_DOUBLE_EQ(rows[0].sum.slot_seconds, 500);
  const int64_t now = std::time(nullptr);
  EXPECT_GT(later.uptime_seconds(now - 7200, now + 3600), 0);
}

TEST_F(StoreTest, TheLogForgetsWhatIsOldAndWhomItIsToldTo) {
  Database database(folder_);
  KeyStore keys(database);
  keys.create(named("carol"));
  RequestLog log(database, 30);
  const std::string secret = "a very particular sentence of this test";
  for (int i = 0; i < 10; ++i) log.add({1'000'000 + i * 86400, "a", i == 3 ? keys.list()[0].id : 0, i % 2 ? "dave" : "erin", "/v1/chat/completions", "m", "", 200, i % 2 ? secret : "other", "reply", 1, 1});
  EXPECT_EQ(log.remove_user("carol"), 1);  // by the key's name
  EXPECT_EQ(log.remove_user("dave"), 4);
  EXPECT_EQ(log.remove_user("dave"), 0);
  for (const auto& entry : fs::directory_iterator(folder_)) EXPECT_EQ(read_file(entry.path()).find(secret), std::string::npos) << entry.path();
  EXPECT_EQ(log.size(), 5);
  EXPECT_EQ(log.drop_old(1'000'000 + 34 * 86400), 2);  // days 0 and 2 are more than 30 days ago
  int64_t seen = 0;
  log.each(0, [&](const LoggedRequest& request) { seen += request.user == "erin"; });
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace ingot
