// The words that scripts rely on, run as a script would.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/random.h"
#include "shell.h"

namespace ingot {
namespace {

using harness::Ran;
using harness::shell;
using harness::kIngot;

const std::string kMap = " --map 'id=Bug ID,engineer=Assignee,component=Component,text=text,time=time' ";

class CommandLine : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = std::filesystem::path(testing::TempDir()) / "command_line";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    Random random(11);
    std::ofstream train(folder / "train.csv"), test(folder / "test.csv");
    train << "Bug ID,Assignee,Component,text,time\n";
    test << "Bug ID,Assignee,Component,text,time\n";
    for (int i = 0; i < 500; ++i) {
      const auto person = random.below(6);
      std::string text;
      for (int w = 0; w < 8; ++w) text += (w % 2 ? "common" + std::to_string(random.below(50)) : "own" + std::to_string(person * 10 + random.below(10))) + "w ";
      const std::string month = std::to_string(1 + i / 50), day = std::to_string(1 + i % 28);
      (i < 400 ? train : test) << i << ",person" << person << ",part" << person / 2 << ",\"" << text << "\",2002-" << (month.size() < 2 ? "0" : "") << month << "-"
                               << (day.size() < 2 ? "0" : "") << day << " 11:46:38 EST\n";
    }
    test << "900,stranger,part0,\"own1w own2w\",2002-12-01 11:46:38 EST\n901,person1,part0,\"own11w\",not a date\n";
    train.close();
    test.close();
    const Ran built = shell(kIngot + " build recipes/triage --source csv:" + path("train.csv") + " --test csv:" + path("test.csv") + kMap + "-o " + path("a.ingot"));
    ASSERT_EQ(built.code, 0) << built.out;
  }
  static std::string path(const std::string& name) { return (folder / name).string(); }
  static std::filesystem::path folder;
};
std::filesystem::path CommandLine::folder;

TEST_F(CommandLine, EvaluatePrintsEveryFigure) {
  const Ran ran = shell(kIngot + " evaluate " + path("a.ingot") + " --data csv:" + path("test.csv") + kMap + "--json 2>/dev/null");
  ASSERT_EQ(ran.code, 0) << ran.out;
  const auto report = nlohmann::json::parse(ran.out);
  EXPECT_EQ(report["records"], 101);
  EXPECT_EQ(report["skipped"], 1);
  EXPECT_EQ(report["unseen"], 1);
  EXPECT_GT(report["engineer"]["top1"].get<double>(), 0.8);
  for (const auto& of : {report, report["baselines"]["majority"], report["baselines"]["last_toucher"], report["baselines"]["sparse"], report["without"]["llama"]}) {
    for (const char* key : {"top1", "top5", "top10"}) EXPECT_TRUE(of["engineer"][key].is_number()) << of;
    for (const char* key : {"top1", "f1_weighted", "f1_macro"}) EXPECT_TRUE(of["component"][key].is_number()) << of;
  }
  EXPECT_TRUE(report["ece"].is_number());
}

TEST_F(CommandLine, ClassifyPrintsOneObjectALine) {
  const Ran ran = shell("printf 'own11w own12w own13w\\nown51w own52w\\n\\n' | " + kIngot + " classify " + path("a.ingot") + " --json");
  ASSERT_EQ(ran.code, 0) << ran.out;
  std::istringstream lines(ran.out);
  std::vector<nlohmann::json> answers;
  for (std::string line; std::getline(lines, line);) answers.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0]["engineers"][0]["name"], "person1");
  EXPECT_EQ(answers[1]["engineers"][0]["name"], "person5");
  EXPECT_TRUE(answers[0]["abstain"].is_boolean());
  EXPECT_FALSE(answers[0]["why"]["words"].empty());
}

TEST_F(CommandLine, VerifyTellsAlteredFromIntact) {
  EXPECT_EQ(shell(kIngot + " verify " + path("a.ingot")).code, 0);
  std::filesystem::copy_file(path("a.ingot"), path("b.ingot"), std::filesystem::copy_options::overwrite_existing);
  std::fstream file(path("b.ingot"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(200000);
  file.put('!');
  file.close();
  EXPECT_EQ(shell(kIngot + " verify " + path("b.ingot")).code, 6);
}

TEST_F(CommandLine, WrongsHaveTheirExitCodes) {
  EXPECT_EQ(shell(kIngot + " build recipes/triage -o " + path("c.ingot")).code, 4);
  EXPECT_EQ(shell(kIngot + " build recipes/triage --source csv:/nowhere.csv -o " + path("c.ingot")).code, 3);
  const Ran gate = shell(kIngot + " build recipes/triage --set gate.engineer_top1=1 --source csv:" + path("train.csv") + " --test csv:" + path("test.csv") + kMap + "-o " + path("c.ingot"));
  EXPECT_EQ(gate.code, 5);
  EXPECT_NE(gate.out.find("short"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path("c.ingot")));
  const Ran key = shell(kIngot + " build recipes/triage --set guard.topik=block --source csv:" + path("train.csv") + " -o " + path("c.ingot"));
  EXPECT_EQ(key.code, 4);
  EXPECT_NE(key.out.find("guard.topic"), std::string::npos);
  EXPECT_EQ(shell(kIngot + " nonsense").code, 2);
}

TEST_F(CommandLine, GuardAndRouteSayWhoseQuestionItIs) {
  const Ran lines = shell("printf 'own11w common12w own13w common3w\\nwho should win the next election\\n' | " + kIngot + " guard check " + path("a.ingot") + " --json 2>/dev/null");
  ASSERT_EQ(lines.code, 0) << lines.out;
  std::istringstream in(lines.out);
  std::vector<nlohmann::json> verdicts;
  for (std::string line; std::getline(in, line);) verdicts.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_TRUE(verdicts[0]["allowed"].get<bool>());
  EXPECT_FALSE(verdicts[1]["allowed"].get<bool>());
  EXPECT_EQ(verdicts[1]["rail"], "topic");
  EXPECT_FALSE(verdicts[1]["reason"].get<std::string>().empty());
  for (const char* key : {"score", "ms"}) EXPECT_TRUE(verdicts[0][key].is_number()) << key;
  const Ran routed = shell("printf 'own11w common12w own13w common3w\\nwho should win the next election\\n' | " + kIngot + " route " + path("a.ingot") + " --json 2>/dev/null");
  ASSERT_EQ(routed.code, 0) << routed.out;
  std::istringstream routes(routed.out);
  std::string first, second;
  std::getline(routes, first);
  std::getline(routes, second);
  EXPECT_EQ(nlohmann::json::parse(first)["ai"], "triage");
  EXPECT_TRUE(nlohmann::json::parse(second)["ai"].is_null());
  EXPECT_TRUE(nlohmann::json::parse(second)["scores"].contains("triage"));
}

TEST_F(CommandLine, NewWritesARecipeThatBuilds) {
  const Ran made = shell(kIngot + " new " + path("fresh") + " --from csv:" + path("train.csv") + kMap);
  ASSERT_EQ(made.code, 0) << made.out;
  EXPECT_NE(made.out.find("verdict"), std::string::npos);
  const Ran built = shell(kIngot + " build " + path("fresh") + " -o " + path("d.ingot"));
  EXPECT_EQ(built.code, 0) << built.out;
  EXPECT_EQ(shell(kIngot + " new " + path("fresh") + " --from csv:" + path("train.csv")).code, 3) << "a recipe is never written over";
}

}  // namespace
}  // namespace ingot
