#include "foundry/fly/fly_folder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/data_folder.h"
#include "core/error.h"
#include "core/files.h"
#include "planted_bugs.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using planted::planted_bugs;
using planted::PlantedBug;

class Fly : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("fly_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void start(const std::string& more = "") {
    file_ = planted::planted_ai(folder_, more);
    fly_ = std::make_unique<FlyFolder>(folder_ / "data", true);
    int64_t number = -1;
    fly_->adopt("bugs", *Ai::open(file_), &number);
    EXPECT_EQ(number, 0);
  }
  void say(const PlantedBug& bug, const std::string& source, const std::string& name = "", int64_t minute = 0) {
    Feedback f;
    f.receipt = "r" + std::to_string(++said_);
    f.model = "bugs";
    f.kind = "label";
    f.text = bug.text;
    f.engineer = name.empty() ? bug.engineer : name;
    f.component = bug.component;
    f.source = f.person = source;
    f.time = bug.time;
    f.arrived = 2000000000 + 60 * (minute ? minute : said_);
    fly_->feedback().append(f);
  }
  std::string served() { return read_file(fly_->file_of(*fly_->versions().find("bugs", fly_->versions().served("bugs")->number))); }
  fs::path folder_, file_;
  std::unique_ptr<FlyFolder> fly_;
  int64_t said_ = 0;
};

TEST_F(Fly, LearnsAnotherDialectAndGoesBackByteForByte) {
  start();
  const std::string before = read_file(file_);
  EXPECT_EQ(served(), before);
  // The same people, from now on half of the time in words that nobody used before.
  const char* sources[] = {"ann", "bob", "cid"};
  const auto bugs = planted_bugs(150, 7, 2, 4, 1003000000);
  for (size_t i = 0; i < bugs.size(); ++i) say(bugs[i], sources[i % 3]);
  const nlohmann::json report = fly_->run("bugs", {});
  EXPECT_TRUE(report["promoted"].get<bool>()) << report["verdict"];
  EXPECT_EQ(report["kept"], 150);
  EXPECT_EQ(report["latest"], 50);
  for (const auto& one : report["judge"]["comparisons"]) {
    if (one["measure"] != "first name") continue;
    if (one["set"] == "latest corrections") {
      EXPECT_LT(one["champion"].get<double>(), 0.75);
      EXPECT_GT(one["challenger"].get<double>(), 0.8);
      EXPECT_GT(one["low"].get<double>(), 0.05);
    } else {
      EXPECT_GT(one["high"].get<double>(), -0.01);  // and nothing forgotten
      EXPECT_GT(one["challenger"].get<double>(), 0.9);
    }
  }
  EXPECT_EQ(fly_->versions().served("bugs")->number, 1);
  const auto challenger = Ai::open(fly_->file_of(*fly_->versions().find("bugs", 1)));
  EXPECT_EQ(challenger->hash(), report["challenger"]["hash"]);
  EXPECT_EQ(challenger->name(), "bugs");
  // Nothing new: nothing happens.
  EXPECT_NE(fly_->run("bugs", {})["verdict"].get<std::string>().find("no correction that the champion has not seen"), std::string::npos);
  EXPECT_EQ(fly_->roll_back("bugs")["to"]["version"], 0);
  EXPECT_EQ(served(), before);
  EXPECT_THROW(fly_->roll_back("bugs"), Error);
  const nlohmann::json status = fly_->status("bugs");
  EXPECT_EQ(status["champion"]["version"], 0);
  EXPECT_EQ(status["versions"].size(), 2u);
  EXPECT_EQ(status["history"][0]["kind"], "rolled_back");
  EXPECT_EQ(status["collected"], 150);
  // A restart with the same file serves what is current, a newly built file becomes a version of its own.
  int64_t number = -1;
  EXPECT_EQ(fly_->adopt("bugs", *Ai::open(file_), &number), fly_->file_of(*fly_->versions().find("bugs", 0)));
  fly_->adopt("bugs", *challenger, &number);
  EXPECT_EQ(number, 0);
}

TEST_F(Fly, PoisonIsRefusedAndTheHonestRestHelps) {
  start();
  // What reaches the judge: labels turned round by a source that nothing is known of.
  const auto poison = planted_bugs(120, 8, 0, 4, 1003000000);
  for (const PlantedBug& bug : poison) say(bug, "mallory", bug.engineer == "person0" ? "person3" : bug.engineer == "person3" ? "person0" : bug.engineer);
  const nlohmann::json alone = fly_->run("bugs", {});
  EXPECT_FALSE(alone["promoted"].get<bool>()) << alone["verdict"];
  EXPECT_EQ(fly_->versions().served("bugs")->number, 0);
  const auto honest = planted_bugs(200, 9, 2, 4, 1003000000);
  for (size_t i = 0; i < honest.size(); ++i) say(honest[i], i % 2 ? "ann" : "bob");
  const nlohmann::json both = fly_->run("bugs", {});
  EXPECT_TRUE(both["promoted"].get<bool>()) << both["verdict"];
  const auto ai = Ai::open(fly_->file_of(*fly_->versions().find("bugs", fly_->versions().served("bugs")->number)));
  size_t old_right = 0, new_right = 0;
  for (const PlantedBug& bug : planted_bugs(100, 20)) old_right += ai->triage().classify(bug.text).engineers[0].name == bug.engineer;
  for (const PlantedBug& bug : planted_bugs(100, 21, 1)) new_right += ai->triage().classify(bug.text).engineers[0].name == bug.engineer;
  EXPECT_GE(old_right, 93u);
  EXPECT_GE(new_right, 85u);
}

TEST_F(Fly, AFloodWaitsForALook) {
  start();
  for (const PlantedBug& bug : planted_bugs(400, 10, 0, 4, 1003000000)) say(bug, "flood", "person0", 77);
  const nlohmann::json report = fly_->run("bugs", {});
  EXPECT_FALSE(report["promoted"].get<bool>());
  EXPECT_EQ(report["held"]["a burst from one source"], 400);
  EXPECT_EQ(report["kept"], 0);
  EXPECT_EQ(report["left_out"].size(), 200u);  // listed as far as a person would read
  EXPECT_EQ(fly_->decide("bugs", {}, "flood", "rejected")["records"], 400);
  EXPECT_EQ(fly_->run("bugs", {})["dropped"]["rejected by the owner"], 400);
}

TEST_F(Fly, WhatThePersonTakesBackIsNotInTheNextVersion) {
  start();
  const auto bugs = planted_bugs(90, 11, 2, 4, 1003000000);
  for (size_t i = 0; i < bugs.size(); ++i) say(bugs[i], i % 2 ? "ann" : "bob");
  PlantedBug secret{"the zanzibarine quintessence of the flugelhorn capsizes whenever the thermostat is polished", "person1", "part0", 1003900000};
  say(secret, "eve");
  ASSERT_TRUE(fly_->run("bugs", {})["promoted"].get<bool>());
  EXPECT_NE(served().find("zanzibarine"), std::string::npos);  // quoted as a similar bug
  const nlohmann::json gone = fly_->forget("eve");
  EXPECT_EQ(gone["deleted"], 1);
  EXPECT_EQ(gone["models"]["bugs"]["versions_that_learnt"][0]["version"], 1);
  EXPECT_EQ(gone["models"]["bugs"]["versions_that_learnt"][0]["served"], true);
  const nlohmann::json again = fly_->run("bugs", {});  // nothing new came in, and yet
  ASSERT_TRUE(again["promoted"].get<bool>()) << again["verdict"];
  EXPECT_EQ(served().find("zanzibarine"), std::string::npos);
  EXPECT_EQ(read_file(folder_ / "data" / "ingot.db").find("zanzibarine"), std::string::npos);
}

TEST_F(Fly, SaysWhatItCannotDo) {
  start("[fly]\nfewest = 1000\n");
  EXPECT_THROW(fly_->run("other", {}), Error);
  EXPECT_THROW(fly_->roll_back("bugs"), Error);
  EXPECT_THROW(fly_->end_trial("bugs", true), Error);
  EXPECT_THROW(FlyFolder(folder_ / "nothing"), Error);
  EXPECT_NE(fly_->run("bugs", {})["verdict"].get<std::string>().find("there is no correction"), std::string::npos);
  const auto bugs = planted_bugs(30, 12, 1);
  for (const PlantedBug& bug : bugs) say(bug, "ann");
  const nlohmann::json report = fly_->run("bugs", {});
  EXPECT_FALSE(report["promoted"].get<bool>());
  EXPECT_NE(report["verdict"].get<std::string>().find("too few to judge by"), std::string::npos) << report["verdict"];
  EXPECT_EQ(report["kept"], 30);
  {
    const FileLock other(folder_ / "data" / "bugs" / "turn.lock", false);
    EXPECT_TRUE(fly_->turning("bugs"));
    EXPECT_THROW(fly_->run("bugs", {}), Error);
  }
  EXPECT_FALSE(fly_->turning("bugs"));
  write_file(folder_ / "data" / "bugs" / "cases.jsonl", "{\"input\": 3}\n");
  EXPECT_THROW(fly_->run("bugs", {}), Error);
  fs::remove(folder_ / "data" / "bugs" / "cases.jsonl");
  fs::remove(folder_ / "train.csv");
  EXPECT_THROW(fly_->run("bugs", {}), Error);  // the sources must still be there
  EXPECT_EQ(fly_->versions().served("bugs")->number, 0);
}

TEST_F(Fly, ACaseThatTheOwnerFixedIsNotLost) {
  start();
  // A case that new corrections would turn round.
  std::string text;
  for (int i = 0; i < 5; ++i) text += "word" + std::to_string(i) + "x common" + std::to_string(i) + "x ";
  write_file(folder_ / "data" / "bugs" / "cases.jsonl", "{\"input\": \"" + text + "\", \"label\": \"person0\"}\n");
  for (int i = 0; i < 40; ++i) {
    PlantedBug bug{text + "variant" + std::to_string(i) + "x also" + std::to_string(i * 7) + "x quite" + std::to_string(i * 3) + "x other" + std::to_string(i * 5) + "x thing" + std::to_string(i) + "x", "person3", "part1", 1003000000 + i};
    say(bug, i % 2 ? "ann" : "bob");
  }
  const nlohmann::json report = fly_->run("bugs", {});
  EXPECT_FALSE(report["promoted"].get<bool>());
  EXPECT_NE(report["verdict"].get<std::string>().find("cases that the owner fixed"), std::string::npos) << report["verdict"];
}

TEST_F(Fly, FallsBackByItselfWherePeopleAgreeLess) {
  start();
  const auto bugs = planted_bugs(60, 13, 2, 4, 1003000000);
  for (size_t i = 0; i < bugs.size(); ++i) say(bugs[i], i % 2 ? "ann" : "bob");
  ASSERT_TRUE(fly_->run("bugs", {})["promoted"].get<bool>());
  const auto rate = [&](int64_t version, int right, int wrong) {
    for (int i = 0; i < right + wrong; ++i) {
      Feedback f;
      f.receipt = "w" + std::to_string(++said_);
      f.model = "bugs";
      f.kind = i < right ? "good" : "bad";
      f.agrees = i < right;
      f.ai = fly_->versions().find("bugs", version)->hash;
      fly_->feedback().append(f);
    }
  };
  rate(0, 40, 10);
  rate(1, 20, 9);
  EXPECT_TRUE(fly_->watch("bugs").is_null());  // too few to say so
  rate(1, 8, 3);
  EXPECT_TRUE(fly_->watch("bugs").is_null());  // 28 of 40 beside 40 of 50: may be chance
  rate(1, 0, 12);
  const nlohmann::json back = fly_->watch("bugs");
  ASSERT_FALSE(back.is_null());
  EXPECT_EQ(fly_->versions().served("bugs")->number, 0);
  EXPECT_EQ(fly_->history("bugs")[0]["kind"], "fell_back");
  EXPECT_TRUE(fly_->watch("bugs").is_null());
}

TEST(FlyClassify, TurnsAClassifier) {
  const auto folder = fs::path(testing::TempDir()) / "fly_classify";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const auto rows = [](size_t count, uint64_t seed, bool other) {
    Random random(seed);
    const char* verbs[2][2][3] = {{{"open", "unlock", "widen"}, {"shut", "bolt", "seal"}}, {{"ouvrir", "desserrer", "elargir"}, {"fermer", "verrouiller", "sceller"}}};
    const char* nouns[] = {"gate", "door", "hatch", "window", "shutter", "trapdoor", "skylight", "fence", "drawbridge", "porch"};
    std::vector<std::pair<std::string, std::string>> all;
    for (size_t i = 0; i < count; ++i) {
      const auto label = random.below(2);
      all.emplace_back(std::string(verbs[other][label][random.below(3)]) + " the " + nouns[random.below(10)] + " number " + std::to_string(random.below(9000)) + " of row " + std::to_string(random.below(9000)), label ? "close" : "open");
    }
    return all;
  };
  {
    std::ofstream csv(folder / "train.csv");
    csv << "text,label\n";
    for (const auto& [text, label] : rows(300, 3, false)) csv << text << "," << label << "\n";
  }
  Recipe recipe = parse_recipe("name = \"doors\"\nkind = \"classify\"\n", "recipe.toml");
  recipe.data.sources = {"csv:" + (folder / "train.csv").string()};
  recipe.data.map = "text=text,label=label";
  build(recipe, folder / "doors.ingot", [](const std::string&) {});
  FlyFolder fly(folder / "data", true);
  int64_t number = -1;
  fly.adopt("doors", *Ai::open(folder / "doors.ingot"), &number);
  int said = 0;
  for (const auto& [text, label] : rows(150, 4, true)) {
    Feedback f;
    f.receipt = std::to_string(++said);
    f.model = "doors";
    f.kind = "label";
    f.text = text;
    f.label = label;
    f.source = f.person = said % 2 ? "ann" : "bob";
    f.arrived = 2000000000 + said * 60;
    fly.feedback().append(f);
  }
  const nlohmann::json report = fly.run("doors", {});
  EXPECT_TRUE(report["promoted"].get<bool>()) << report.dump(1);
  const auto ai = Ai::open(fly.file_of(*fly.versions().find("doors", 1)));
  size_t right = 0;
  for (const auto& [text, label] : rows(100, 5, true)) right += ai->classifier().classify(text)[0].name == label;
  EXPECT_GE(right, 95u);
  // The held-out part was learnt from by the packed champion, so a stand-in was judged: it cannot be perfect there by heart.
  bool held_out = false;
  for (const auto& one : report["judge"]["comparisons"]) held_out |= one["set"] == "held-out";
  EXPECT_TRUE(held_out);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ingot
