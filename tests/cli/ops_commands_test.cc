// Commands of those who run an Ingot: keys, models, cost, completions; run as a script would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "shell.h"

namespace ingot {
namespace {

using harness::Ran;
using harness::shell;

using nlohmann::json;
using testing::HasSubstr;

class OpsCommands : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::path(testing::TempDir()) / ("ops_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))).string();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  Ran ingot(const std::string& arguments) { return shell("INGOT_DATA=" + folder_ + "/data " INGOT_BINARY " " + arguments); }
  std::string folder_;
};

TEST_F(OpsCommands, MakesListsRotatesAndRevokesKeys) {
  const Ran made = ingot("key new 'Ann B.' --scope chat,read --rate 60/min --rate 5000tokens/min --quota 100000/day --priority 2 --expires 90d 2>/dev/null");
  EXPECT_EQ(made.code, 0);
  EXPECT_EQ(made.out.size(), 50u) << made.out;  // the key and a line end, for $(...)
  EXPECT_TRUE(made.out.starts_with("ingot_"));
  const json list = json::parse(ingot("key list --json").out);
  EXPECT_EQ(list[0]["name"], "Ann B.");
  EXPECT_EQ(list[0]["scopes"], (json{"chat", "read"}));
  EXPECT_EQ(list[0]["tokens_per_minute"], 5000);
  EXPECT_EQ(list[0]["state"], "works");
  EXPECT_NE(json::parse(ingot("key rotate 'Ann B.' --json").out)["key"], made.out.substr(0, 49));
  EXPECT_EQ(ingot("key revoke 'Ann B.'").code, 0);
  EXPECT_EQ(json::parse(ingot("key list --json").out)[0]["state"], "revoked");
  EXPECT_EQ(ingot("key revoke 'Ann B.'").code, 3);
  EXPECT_EQ(ingot("key new x --rate fast").code, 2);
  EXPECT_THAT(ingot("key new x --scope chatt").out, HasSubstr("did you mean \"chat\"?"));
  EXPECT_THAT(ingot("key list --data " + folder_ + "/none").out, HasSubstr("there is no key"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/none"));  // looking makes nothing
}

TEST_F(OpsCommands, KeepsAndNamesModels) {
  std::ofstream(folder_ + "/tiny.gguf") << "not really one";
  EXPECT_EQ(ingot("pull " + folder_ + "/tiny.gguf --sha256 " + std::string(64, 'a')).code, 3);
  const json pulled = json::parse(ingot("pull " + folder_ + "/tiny.gguf --json").out);
  EXPECT_EQ(pulled["path"], folder_ + "/data/models/tiny/tiny.gguf");
  json list = json::parse(ingot("list --catalogue --json").out);
  std::set<std::string> names;
  for (const json& row : list) names.insert(row["name"].get<std::string>() + ":" + row["where"].get<std::string>());
  EXPECT_THAT(names, testing::IsSupersetOf({"ingot-base:embedded", "tiny:pulled", "smollm2-135m-instruct:to pull"}));
  EXPECT_EQ(json::parse(ingot("show gemma-3-270m --json").out)["licence"], "Gemma Terms of Use");
  EXPECT_THAT(ingot("show ingot-base").out, HasSubstr("family     llama"));
  EXPECT_EQ(ingot("show tiny").code, 3);  // its head is no GGUF's
  EXPECT_EQ(ingot("remove tiny").code, 0);
  EXPECT_EQ(ingot("remove tiny").code, 3);
  EXPECT_THAT(ingot("pull smollm2-135m-instruct --offline").out, HasSubstr("--offline forbids"));
  EXPECT_THAT(ingot("chat ingot-base -p hello").out, HasSubstr("ingot pull smollm2-135m-instruct"));
  EXPECT_THAT(ingot("compare ingot-base ingot-base /dev/null").out, HasSubstr("ingot pull smollm2-135m-instruct"));
}

TEST_F(OpsCommands, CostAndLogSayWhenThereIsNothing) {
  EXPECT_EQ(ingot("cost").code, 3);
  EXPECT_EQ(ingot("log print").code, 3);
  ingot("key new a");
  EXPECT_EQ(json::parse(ingot("cost --price 2 --json").out)["dollars"], 0);
  EXPECT_THAT(ingot("cost --csv").out, testing::StartsWith("user,model,ai,requests"));
  EXPECT_EQ(ingot("log print").out, "nothing is logged: the log is off unless site.toml says [log] requests = true\n");
  EXPECT_EQ(ingot("log delete").code, 2);
  EXPECT_EQ(ingot("log delete --user a").out, "deleted 0 entries\n");
}

TEST_F(OpsCommands, CompletionsCompleteAndTheManPageNamesEveryCommand) {
  const std::string script = folder_ + "/ingot.bash";
  ASSERT_EQ(ingot("completion bash > " + script).code, 0);
  const auto complete = [&](const std::string& words) {
    return shell("bash -c 'source " + script + "; COMP_WORDS=(" + words + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _ingot; printf \"%s\\n\" \"${COMPREPLY[@]}\"'").out;
  };
  EXPECT_EQ(complete("ingot pul"), "pull\n");
  EXPECT_EQ(complete("ingot key ro"), "rotate\n");
  EXPECT_EQ(complete("ingot key new x --quo"), "--quota\n");
  EXPECT_EQ(complete("ingot pull --off"), "--offline\n");
  for (const char* shell_name : {"zsh", "fish"}) EXPECT_THAT(ingot(std::string("completion ") + shell_name).out, HasSubstr("rotate"));
  EXPECT_EQ(ingot("completion tcsh").code, 2);
  const std::string page = ingot("completion man").out;
  EXPECT_THAT(page, testing::StartsWith(".TH INGOT 1"));
  const std::string help = ingot("--help").out;
  size_t commands = 0;
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    if (!line.starts_with("  ") || line.size() < 4 || line[2] == ' ') continue;
    ++commands;
    EXPECT_THAT(page, HasSubstr(".SS \"ingot " + line.substr(2, line.find(' ', 2) - 2)));
  }
  EXPECT_GT(commands, 20u);
}

TEST_F(OpsCommands, TheDoctorKnowsTheMachine) {
  const json report = json::parse(ingot("doctor --json").out);
  EXPECT_GE(report["machine"]["cores"], 1);
  EXPECT_GT(report["machine"]["read_gb_s"], 0);
  EXPECT_GT(report["machine"]["memory_gb"], 0.1);
  EXPECT_TRUE(report["models"][0]["runs"].get<bool>());   // 135M
  EXPECT_FALSE(report["models"].back()["runs"].get<bool>());  // 405B in f16
  EXPECT_FALSE(report["estimate"].get<std::string>().empty());
}

}  // namespace
}  // namespace ingot
