// The flywheel through HTTP and as processes: what was acknowledged is kept, what is promoted is served, nothing is dropped or mixed.
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "../foundry/planted_bugs.h"
#include "foundry/fly/fly_folder.h"
#include "running_service.h"
#include "serve/tracker_events.h"

namespace ingot::harness {
namespace {

namespace fs = std::filesystem;
using planted::planted_ai;
using planted::planted_bugs;
using planted::PlantedBug;

class Flywheel : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("wheel_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    file_ = planted_ai(folder_, more_).string();
    write_file(folder_ / "site.toml", "[flywheel]\nturn = false\nburst = 0\nnice = 0\n");
    serve();
  }
  void TearDown() override {
    service_.reset();
    fs::remove_all(folder_);
  }
  void serve() {
    service_.reset();
    service_ = std::make_unique<RunningService>(std::vector<std::string>{file_, "--data", data(), "--site", (folder_ / "site.toml").string()});
    ASSERT_NE(service_->port(), 0);
  }
  std::string data() const { return (folder_ / "data").string(); }
  Json wait_for_turn() {
    for (int i = 0; i < 600; ++i) {
      const Json now = Json::parse(service_->get("/v1/fly").body);
      if (!now["turning"].get<bool>()) return now["turns"].contains("bugs") ? now["turns"]["bugs"] : Json();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ADD_FAILURE() << "the turn does not end";
    return {};
  }
  Json correct(const PlantedBug& bug, int status = 202) {
    return service_->ask("/v1/feedback", {{"model", "bugs"}, {"input", bug.text}, {"label", {{"engineer", bug.engineer}, {"component", bug.component}}}, {"time", bug.time}, {"user", "user" + std::to_string(++said_ % 3)}}, status);
  }
  std::string version() { return service_->ask("/classify", {{"input", "word1x word2x"}})["ai"]; }
  std::string more_;
  fs::path folder_;
  std::string file_;
  std::unique_ptr<RunningService> service_;
  int said_ = 0;
};

// A file that its owner puts in the AI's place is a version like any other: it can be gone back from, and one that does not open is told.
TEST_F(Flywheel, AReplacedFileIsAVersionToGoBackFrom) {
  const std::string first = version();
  const fs::path other = planted_ai(folder_ / "other", more_ + "# another\n");
  fs::rename(other, file_);
  EXPECT_EQ(service_->ask("/v1/reload", Json::object())["replaced"], Json({"bugs"}));
  const std::string second = version();
  EXPECT_NE(first, second);
  EXPECT_EQ(service_->ask("/v1/rollback", {{"model", "bugs"}})["ai"], first);
  EXPECT_EQ(version(), first);
  EXPECT_TRUE(service_->ask("/v1/reload", Json::object())["replaced"].empty());  // the file is as it was
  serve();
  EXPECT_EQ(version(), first);  // what was decided holds after a restart
  write_file(folder_ / "broken", read_file(file_).substr(0, 50000));
  fs::rename(folder_ / "broken", file_);
  const Json failed = service_->ask("/v1/reload", Json::object(), 409);
  EXPECT_EQ(failed["failed"][0]["model"], "bugs");
  EXPECT_NE(failed["failed"][0]["reason"].get<std::string>().find("cut off"), std::string::npos) << failed;
  EXPECT_EQ(version(), first);
}

TEST_F(Flywheel, TakesEveryShapeAndRefusesTheWrongOnes) {
  const Json answer = service_->ask("/classify", {{"input", "word1x common2x word3x"}});
  const std::string id = answer["id"];
  const Json kept = service_->ask("/v1/feedback", {{"id", id}, {"label", "person1"}, {"user", "ann"}}, 202);
  EXPECT_EQ(kept["ai"], answer["ai"]);
  EXPECT_EQ(kept["kind"], "label");
  EXPECT_EQ(service_->ask("/v1/feedback", {{"id", id}, {"rating", "good"}}, 202)["kind"], "good");
  EXPECT_EQ(service_->ask("/v1/feedback", {{"id", id}, {"better", "Say it so."}}, 202)["kind"], "text");
  service_->ask("/v1/feedback", {{"input", "word1x common2x"}, {"label", {{"engineer", "person0"}, {"component", "part0"}}}}, 202);
  service_->ask("/v1/feedback", {{"id", "classify-unknown"}, {"label", "x"}}, 404);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", "x"}, {"ai", std::string(64, 'a')}}, 410);  // a version long gone
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", "x"}, {"ai", answer["ai"]}}, 202);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", 5}}, 400);
  service_->ask("/v1/feedback", {{"input", {"word1x"}}, {"label", "x"}}, 400);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", ""}}, 400);
  service_->ask("/v1/feedback", {{"input", "word1x"}}, 400);
  service_->ask("/v1/feedback", {{"label", "x"}}, 400);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"rating", "superb"}}, 400);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", "x"}, {"time", "noon"}}, 400);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", "x"}, {"model", "none"}}, 404);
  service_->ask("/v1/feedback", {{"input", std::string(2 << 20, 'x')}, {"label", "x"}}, 413);
  service_->ask("/v1/feedback", {{"input", std::string(10 << 20, 'x')}, {"label", "x"}}, 413);
  service_->ask("/v1/feedback", {{"input", "word1x"}, {"label", std::string(2000, 'x')}}, 413);
  EXPECT_EQ(Json::parse(service_->get("/v1/fly/bugs").body)["collected"], 5);
  service_->ask("/v1/fly/bugs", {{"action", "explode"}}, 400);
  service_->ask("/v1/rollback", Json::object(), 409);
  EXPECT_EQ(service_->get("/v1/fly/none").status, 404);
}

TEST_F(Flywheel, StoresNothingThatIsPrivate) {
  const std::string planted[] = {"zoe.quill@example.org", "+44 20 7946 0958", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"};
  for (const std::string& secret : planted) {
    service_->ask("/v1/feedback", {{"input", "word1x word2x word3x call " + secret + " common5x"}, {"label", "person0"}, {"better", "ask " + secret}, {"user", secret}}, 202);
    service_->ask("/v1/feedback", {{"input", "word1x word2x word3x word4x " + secret.substr(0, 3)}, {"label", secret}}, 202);
    service_->ask("/v1/tracker/bugs", {{"action", "assigned"}, {"issue", {{"number", 1}, {"title", "word1x from " + secret}, {"body", secret}}}, {"assignee", {{"login", "person1"}}}, {"sender", {{"login", secret}}}}, 202);
  }
  service_.reset();
  for (const auto& entry : fs::recursive_directory_iterator(data())) {
    if (!entry.is_regular_file()) continue;
    const std::string bytes = read_file(entry.path());
    for (const std::string& secret : planted) EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path() << " holds " << secret;
  }
  FlyFolder fly(data());
  // And yet the person can have it deleted.
  EXPECT_EQ(fly.forget("zoe.quill@example.org")["deleted"], 2);
}

TEST_F(Flywheel, LearnsFromTrackers) {
  for (const char* name : {"bugzilla", "github", "jira"}) {
    Json event = Json::parse(read_file(fs::path(INGOT_TEST_DATA) / "fuzz/corpus/tracker_events" / name));
    std::string tracker;
    const auto read = read_tracker_event(event, &tracker);
    ASSERT_TRUE(read) << name;
    EXPECT_EQ(tracker, name);
    EXPECT_EQ(read->text.substr(0, 18), "Crash in the index");
    EXPECT_EQ(read->engineer, std::string(name) == "bugzilla" ? "ann@example.org" : std::string(name) == "jira" ? "Ann" : "ann");
    EXPECT_EQ(read->component, std::string(name) == "github" ? "area/search" : "Search");
    EXPECT_EQ(read->time, 1709633472);
    const Json kept = service_->ask("/v1/tracker/bugs", event, 202);
    EXPECT_EQ(kept["kind"], "reassigned");
    if (event.contains("changelog")) event["changelog"]["items"][0]["field"] = "status";
    else if (event.contains("event")) event["event"]["changes"][0]["field"] = "status", event["event"]["routing_key"] = "bug.modify:status";
    else event["action"] = "labeled";
    EXPECT_EQ(service_->ask("/v1/tracker/bugs", event, 200)["kept"], false);
  }
  service_->ask("/v1/tracker/bugs", {{"hello", "world"}}, 400);
  service_->ask("/v1/tracker/none", {{"hello", "world"}}, 404);
  EXPECT_EQ(Json::parse(service_->get("/v1/fly/bugs").body)["collected"], 3);
}

TEST_F(Flywheel, PromotesWithoutARestartWhileManyAsk) {
  const std::string before = version();
  for (const PlantedBug& bug : planted_bugs(90, 7, 2, 4, 1003000000)) correct(bug);
  // Eight clients all the while: every request is answered, by one version or the other, and each answer is that version's.
  std::atomic<bool> stop{false};
  std::atomic<int> asked{0}, dropped{0}, mixed{0};
  std::mutex mutex;
  std::map<std::string, std::set<std::string>> answers;  // version -> what it said to the same question
  std::vector<std::thread> clients;
  const std::string question = planted_bugs(1, 99, 1)[0].text;
  for (int c = 0; c < 8; ++c)
    clients.emplace_back([&] {
      while (!stop) {
        Client client(service_->port());
        const Answer answer = client.post("/classify", Json({{"input", question}}).dump());
        ++asked;
        const Json body = Json::parse(answer.body, nullptr, false);
        if (answer.status != 200 || !body.is_object()) {
          ++dropped;
          continue;
        }
        if (answer.head.find("X-Ingot-AI: " + body["ai"].get<std::string>()) == std::string::npos) ++mixed;
        std::lock_guard lock(mutex);
        answers[body["ai"]].insert(body["data"][0]["probs"].dump());
      }
    });
  service_->ask("/v1/fly", {{"model", "bugs"}}, 202);
  service_->ask("/v1/fly", {{"model", "bugs"}}, 409);  // two turns at once
  const Json report = wait_for_turn();
  EXPECT_TRUE(report["promoted"].get<bool>()) << report.dump(1);
  const std::string after = version();  // at once, not after a while
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_NE(after, before);
  EXPECT_EQ(after, report["challenger"]["hash"]);
  EXPECT_EQ(dropped, 0) << "of " << asked;
  EXPECT_EQ(mixed, 0);
  EXPECT_EQ(answers.size(), 2u);
  for (const auto& [ai, said] : answers) EXPECT_EQ(said.size(), 1u) << "version " << ai << " has answered in more than one way";
  // After a crash and a restart with the first file, the promoted version is served.
  service_->signal(SIGKILL);
  service_->wait();
  serve();
  EXPECT_EQ(version(), after);
  // Back, by a command beside the running service.
  const std::string command = std::string(INGOT_BINARY) + " fly rollback bugs --data " + data() + " --json >/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
  for (int i = 0; i < 100 && version() != before; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(version(), before);
  const Json status = Json::parse(service_->get("/v1/fly/bugs").body);
  EXPECT_EQ(read_file(status["champion"]["file"].get<std::string>()), read_file(file_));
}

TEST_F(Flywheel, WhatWasAcknowledgedSurvivesAKill) {
  std::mutex mutex;
  std::set<std::string> acknowledged;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> clients;
    std::atomic<bool> stop{false};
    for (int c = 0; c < 4; ++c)
      clients.emplace_back([&, c, round] {
        for (int i = 0; !stop; ++i) {
          Client client(service_->port());
          const Answer answer = client.post("/v1/feedback", Json({{"input", "round " + std::to_string(round) + " client " + std::to_string(c) + " record " + std::to_string(i)}, {"label", "person0"}}).dump());
          const Json body = Json::parse(answer.body, nullptr, false);
          std::lock_guard lock(mutex);
          if (answer.status == 202) acknowledged.insert(body["id"]);
        }
      });
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + 70 * round));
    service_->signal(SIGKILL);
    stop = true;
    for (std::thread& client : clients) client.join();
    service_->wait();
    serve();
  }
  EXPECT_GT(acknowledged.size(), 30u);
  service_.reset();
  FlyFolder fly(data());
  std::set<std::string> present;
  fly.feedback().each("bugs", 0, [&](const Feedback& f) { present.insert(f.receipt); });
  for (const std::string& receipt : acknowledged) EXPECT_TRUE(present.contains(receipt)) << receipt;
}

TEST_F(Flywheel, ATrialAnswersItsShareAndEndsByAWord) {
  for (const PlantedBug& bug : planted_bugs(90, 7, 2, 4, 1003000000)) correct(bug);
  service_->ask("/v1/fly", {{"model", "bugs"}, {"trial", 0.5}}, 202);
  const Json report = wait_for_turn();
  EXPECT_FALSE(report["promoted"].get<bool>());
  const std::string challenger = report["challenger"]["hash"];
  std::map<std::string, int> by;
  for (int i = 0; i < 100; ++i) ++by[version()];
  EXPECT_GT(by[challenger], 20);
  EXPECT_LT(by[challenger], 80);
  EXPECT_EQ(by.size(), 2u);
  service_->ask("/v1/fly/bugs", {{"action", "withdraw"}});
  for (int i = 0; i < 20; ++i) EXPECT_NE(version(), challenger);
  service_->ask("/v1/fly/bugs", {{"action", "withdraw"}}, 409);
}

class FlywheelByItself : public Flywheel {
 protected:
  FlywheelByItself() { more_ = "[serve]\nturn_after = 60\n"; }
};

TEST_F(FlywheelByItself, TurnsWhenThereIsEnough) {
  write_file(folder_ / "site.toml", "[flywheel]\nburst = 0\nnice = 0\n");
  serve();
  const std::string before = version();
  for (const PlantedBug& bug : planted_bugs(60, 7, 2, 4, 1003000000)) correct(bug);
  for (int i = 0; i < 400 && version() == before; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_NE(version(), before) << service_->get("/v1/fly").body;
}

}  // namespace
}  // namespace ingot::harness
