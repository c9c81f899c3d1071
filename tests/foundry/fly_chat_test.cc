// The flywheel of a chat AI over a tiny base: better texts for what was asked.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "foundry/build.h"
#include "foundry/fly/fly_folder.h"
#include "tiny_chat_base.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class FlyChat : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("fly_chat_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    harness::write_tiny_chat_base(folder_ / "base.gguf");
    std::ofstream data(folder_ / "talk.jsonl");
    for (int i = 0; i < 150; ++i)
      data << json{{"question", "what is the colour of stone number " + std::to_string(i)}, {"answer", "it is blue"}}.dump() << "\n";
    data.close();
    Recipe r = parse_recipe("kind = \"chat\"\n[chat]\nrank = 4\nrate = 0.01\nepochs = 3\nbatch = 8\njudged = 8\nmax_tokens = 8\nsystem = \"be brief\"\n[fly]\nfewest = 20\n", "test");
    r.name = "talk";
    r.base = (folder_ / "base.gguf").string();
    r.data.sources = {(folder_ / "talk.jsonl").string()};
    build(r, folder_ / "talk.ingot", [](const std::string&) {});
    fly_ = std::make_unique<FlyFolder>(folder_ / "data", true);
    int64_t number = -1;
    fly_->adopt("talk", *Ai::open(folder_ / "talk.ingot"), &number);
    EXPECT_EQ(number, 0);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void say(const std::string& asked, const std::string& better, const std::string& who) {
    Feedback f;
    f.receipt = "r" + std::to_string(++said_);
    f.model = "talk";
    f.kind = "text";
    f.text = asked;
    f.better = better;
    f.source = f.person = who;
    f.arrived = 2000000000 + 60 * said_;
    fly_->feedback().append(f);
  }
  std::shared_ptr<const Ai> served() { return Ai::open(fly_->file_of(*fly_->versions().find("talk", fly_->versions().served("talk")->number))); }
  fs::path folder_;
  std::unique_ptr<FlyFolder> fly_;
  int64_t said_ = 0;
};

TEST_F(FlyChat, LearnsWhatPeopleWroteInsteadAndGoesBack) {
  const std::string before = read_file(folder_ / "talk.ingot");
  for (int i = 0; i < 150; ++i) say("where does the sea number " + std::to_string(i) + " go", i % 2 ? "it is away" : "home", i % 3 ? "ann" : "bob");
  say("where does the sea number 3 go", "", "ann");                      // says nothing
  const json report = fly_->run("talk", {});
  EXPECT_TRUE(report["promoted"].get<bool>()) << report["verdict"];
  EXPECT_GE(report["latest"].get<int>(), 30);  // many differ in a number alone: nearly said twice
  EXPECT_EQ(report["dropped"]["no text or no name"], 1);
  std::map<std::string, double> gained;
  for (const json& one : report["judge"]["comparisons"]) {
    if (one["measure"] != "token probability") continue;
    gained[one["set"]] = one["gain"];
    if (one["set"] == "latest corrections") EXPECT_GT(one["low"].get<double>(), 0.1) << one;
    else EXPECT_GT(one["challenger"].get<double>(), 0.9 * one["champion"].get<double>()) << one;  // and nothing much forgotten
  }
  EXPECT_EQ(gained.size(), 2u);
  EXPECT_GT(report["challenger"]["corrections_right"].get<double>(), report["champion"]["corrections_right"].get<double>() + 0.1);
  EXPECT_EQ(fly_->versions().served("talk")->number, 1);
  const auto now = served();
  EXPECT_EQ(now->hash(), report["challenger"]["hash"]);
  EXPECT_EQ(json::parse(now->archive().manifest())["provenance"]["turn"]["champion"], report["champion"]["hash"]);
  EXPECT_EQ(now->chat().system, "be brief");
  EXPECT_FALSE(fs::exists(folder_ / "data" / "talk" / "versions" / "0001.ingot.training"));
  // What judged is learnt from once there is something newer.
  EXPECT_NE(fly_->run("talk", {})["verdict"].get<std::string>().find("that the champion has not seen"), std::string::npos);
  fly_->roll_back("talk");
  EXPECT_EQ(read_file(fly_->file_of(*fly_->versions().find("talk", fly_->versions().served("talk")->number))), before);
}

TEST_F(FlyChat, FindsItsBaseWhereverItWasAndRefusesWhatItCannot) {
  fs::create_directories(folder_ / "away");
  fs::rename(folder_ / "talk.ingot", folder_ / "away" / "talk.ingot");
  EXPECT_NO_THROW(Ai::open(folder_ / "data" / "talk" / "versions" / "0000.ingot"));
  FlyRunOptions trial;
  trial.trial_share = 0.5;
  EXPECT_THROW(fly_->run("talk", trial), Error);
  EXPECT_NE(fly_->run("talk", {})["verdict"].get<std::string>().find("no better text"), std::string::npos);
  // What contradicts the held-out part's own questions never enters.
  const json held = json::parse(served()->archive().text("examples.jsonl").substr(0, served()->archive().text("examples.jsonl").find('\n')));
  const std::string asked = held["messages"].back()["content"];
  say(asked, "green", "ann");
  EXPECT_EQ(fly_->run("talk", {})["dropped"]["it is evaluation content"], 1);
  // Worse answers to old questions, by one who means it: the held-out part says no.
  for (int i = 0; i < 60; ++i) say("what is the colour of stone number " + std::to_string(1000 + i), "green green green green", "mallory");
  const json report = fly_->run("talk", {});
  EXPECT_FALSE(report["promoted"].get<bool>()) << report["verdict"];
  EXPECT_EQ(fly_->versions().served("talk")->number, 0);
}

}  // namespace
}  // namespace ingot
