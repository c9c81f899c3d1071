#include "store/feedback_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "core/files.h"
#include "store/version_store.h"

namespace ingot {
namespace {

std::filesystem::path fresh(const char* name) {
  const auto folder = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::remove_all(folder);
  return folder;
}

Feedback said(const std::string& receipt, const std::string& person, const std::string& text = "it crashes") {
  Feedback f;
  f.receipt = receipt;
  f.model = "bugs";
  f.kind = "label";
  f.text = text;
  f.engineer = "ann";
  f.person = f.source = person;
  f.ai = "abc";
  f.agrees = person == "bob";
  f.arrived = 100;
  return f;
}

TEST(FeedbackStore, ManyThreadsEachRecordOnce) {
  Database database(fresh("feedback_threads"));
  FeedbackStore store(database);
  std::vector<std::thread> threads;
  std::atomic<int> refused{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) store.append(said(std::to_string(t) + "-" + std::to_string(i), "ann"));
      try {
        store.append(said("same", "ann"));  // a receipt is given once
      } catch (const std::exception&) {
        ++refused;
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> receipts;
  int64_t last = 0;
  store.each("bugs", 0, [&](const Feedback& f) {
    EXPECT_GT(f.id, last);
    last = f.id;
    receipts.insert(f.receipt);
  });
  EXPECT_EQ(receipts.size(), 401u);
  EXPECT_EQ(refused, 7);
  EXPECT_EQ(store.count("bugs", 0), 401);
  EXPECT_EQ(store.last("bugs"), last);
}

TEST(Database, ACommandBesideAServiceLeavesTheLogInUse) {
  // Two connections of one process, as a service has for keys and for feedback; then another process comes and goes.
  const auto folder = fresh("two_connections");
  Database keys(folder), database(folder);
  FeedbackStore store(database);
  store.append(said("1", "ann"));
  const std::string command = std::string(INGOT_BINARY) + " fly status bugs --data " + folder.string() + " >/dev/null 2>&1";
  EXPECT_NE(std::system(command.c_str()), 0);  // there is no such AI: it has opened and closed the records
  store.append(said("2", "ann"));
  EXPECT_TRUE(std::filesystem::exists(folder / "ingot.db-wal"));
}

TEST(FeedbackStore, ForgetsAPersonAndNobodyElse) {
  const auto folder = fresh("feedback_forget");
  Database database(folder);
  FeedbackStore store(database);
  const std::string hidden = store.pseudonym("eve@example.org");
  EXPECT_EQ(hidden, store.pseudonym("eve@example.org"));
  EXPECT_NE(hidden, store.pseudonym("eva@example.org"));
  EXPECT_EQ(hidden.find("eve"), std::string::npos);
  store.append(said("1", hidden, "the unforgettable xylophone"));
  store.append(said("2", "bob"));
  EXPECT_EQ(store.forget("nobody").size(), 0u);
  const auto gone = store.forget("eve@example.org");
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].receipt, "1");
  EXPECT_EQ(store.count("bugs", 0), 1);
  EXPECT_EQ(store.agreement("bugs", "abc").known, 1);
  EXPECT_EQ(store.agreement("bugs", "abc").right, 1);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) EXPECT_EQ(read_file(entry.path()).find("xylophone"), std::string::npos) << entry.path();
  EXPECT_EQ(store.decide("bugs", "", "bob", "rejected"), 1);
  EXPECT_EQ(store.drop_old("bugs", "", 101), 1);
}

TEST(VersionStore, APromotionHappensAsAWholeOrNotAtAll) {
  Database database(fresh("versions"));
  VersionStore store(database);
  EXPECT_FALSE(store.served("bugs"));
  AiVersion first{0, "h0", "bugs/versions/0000.ingot", "given", -1, 1, 0}, next{1, "h1", "bugs/versions/0001.ingot", "turn", 0, 2, 9};
  EXPECT_TRUE(store.add("bugs", first, -1, -1, {}, {0, 0, "given", 0, 0, ""}));
  EXPECT_FALSE(store.add("bugs", next, 5, -1, {1, 2}, {0, 0, "promoted", 1, 9, "{}"}));  // another is served
  EXPECT_FALSE(store.find("bugs", 1));
  EXPECT_TRUE(store.add("bugs", next, 0, 0.25, {1, 2}, {0, 0, "candidate", 1, 9, "{}"}));
  EXPECT_EQ(store.served("bugs")->number, 0);
  EXPECT_EQ(store.served("bugs")->candidate, 1);
  EXPECT_EQ(store.served("bugs")->share, 0.25);
  EXPECT_EQ(store.learnt("bugs", 1, {2, 3}), 1);
  EXPECT_EQ(store.learnt_count("bugs", 1), 2);
  store.serve("bugs", 1, {0, 0, "promoted", 1, 0, ""});
  EXPECT_EQ(store.served("bugs")->number, 1);
  EXPECT_EQ(store.served("bugs")->candidate, -1);
  EXPECT_EQ(store.find_hash("bugs", "h0")->number, 0);
  EXPECT_EQ(store.events("bugs", "", 10).size(), 3u);
  EXPECT_EQ(store.events("bugs", "promoted", 10).size(), 1u);
  EXPECT_EQ(store.next_number("bugs"), 2);
}

}  // namespace
}  // namespace ingot
