// What goes wrong on a person's machine: odd files, a full disk, folders that cannot be written, Ctrl-C, a gate not met.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "core/data_folder.h"
#include "core/random.h"
#include "shell.h"

namespace ingot {
namespace {

using harness::Ran;
using harness::shell;
using harness::kIngot;

namespace fs = std::filesystem;

class Unhappy : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("unhappy_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override {
    std::error_code none;
    fs::remove_all(folder_, none);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, std::string_view bytes) const { std::ofstream(folder_ / name, std::ios::binary) << bytes; }
  // strangers: the share, in percent, of bugs whose engineer the text does not tell.
  void write_bugs(const std::string& name, int count, uint64_t strangers = 0) const {
    Random random(5);
    std::ofstream out(folder_ / name);
    out << "id,engineer,component,text,time\n";
    for (int i = 0; i < count; ++i) {
      const auto person = random.below(4);
      out << i << ",person" << (random.below(100) < strangers ? random.below(4) : person) << ",part" << person / 2 << ",";
      for (int w = 0; w < 8; ++w) out << "word" << (w % 2 ? 1000 + random.below(300) : person * 10 + random.below(10)) << "x ";
      out << "," << 1000000000 + i * 3600 << "\n";
    }
  }
  size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{})); }
  std::string build(const std::string& source, const std::string& out, const std::string& more = "") const {
    return kIngot + " build recipes/triage --source csv:" + path(source) + " -o " + path(out) + " " + more;
  }
  fs::path folder_;
};

TEST_F(Unhappy, OddSourcesAreRefusedInOneSentence) {
  std::string binary;
  Random random(1);
  for (int i = 0; i < 200000; ++i) binary += static_cast<char>(random.below(256));
  write("empty.csv", "");
  write("binary.csv", binary);
  write("header.csv", "id,engineer,component,text,time\n");
  write("line.csv", "id,engineer,component,text,time\n1,a,b,\"" + std::string(20 << 20, 'x'));
  write("blank.csv", std::string(5000, '\n'));
  for (const char* name : {"empty.csv", "binary.csv", "header.csv", "line.csv", "blank.csv"}) {
    const Ran ran = shell(build(name, "a.ingot"));
    EXPECT_EQ(ran.code, 3) << name << ": " << ran.out.substr(0, 2000);
    EXPECT_NE(ran.out.find("ingot: "), std::string::npos) << name;
    EXPECT_LT(ran.out.size(), 4000u) << name << ": the file itself is not told";
    EXPECT_FALSE(fs::exists(folder_ / "a.ingot")) << name;
  }
  EXPECT_EQ(shell(kIngot + " build recipes/triage --source csv:" + folder_.string() + " -o " + path("a.ingot")).code, 3) << "a folder";
  for (const char* kind : {"jsonl", "bugzilla", "github", "jira"}) {
    for (const char* name : {"empty.csv", "binary.csv", "line.csv"}) {
      const Ran ran = shell(kIngot + " build recipes/triage --source " + std::string(kind) + ":" + path(name) + " -o " + path("a.ingot"));
      EXPECT_EQ(ran.code, 3) << kind << " " << name << ": " << ran.out.substr(0, 2000);
    }
  }
}

TEST_F(Unhappy, WhatIsMisspeltIsNamedBeforeAnyWork) {
  write_bugs("bugs.csv", 200);
  const Ran command = shell(kIngot + " evalute x");
  EXPECT_EQ(command.code, 2);
  EXPECT_NE(command.out.find("\"evalute\""), std::string::npos) << command.out;
  EXPECT_NE(command.out.find("\"evaluate\""), std::string::npos) << command.out;
  const Ran field = shell(build("bugs.csv", "a.ingot") + " --map 'enginer=engineer'");
  EXPECT_EQ(field.code, 2);
  EXPECT_NE(field.out.find("did you mean \"engineer\""), std::string::npos) << field.out;
  fs::create_directories(folder_ / "taken");
  const Ran out = shell(build("bugs.csv", "taken"));
  EXPECT_EQ(out.code, 7);
  EXPECT_EQ(out.out.find("trained"), std::string::npos) << out.out;
  write("cut.ingot", "PK\x03\x04 cut off");
  EXPECT_NE(shell(kIngot + " serve " + path("bugs.csv") + " --port 0").code, 0) << "a table is no model";
  EXPECT_NE(shell(kIngot + " serve " + path("cut.ingot") + " --port 0").code, 0);
}

TEST_F(Unhappy, AWrongNumberOfThreadsIsToldBeforeAnyWork) {
  for (const char* threads : {"abc", "0", "-1", "1e9"}) {
    const Ran ran = shell("INGOT_THREADS=" + std::string(threads) + " " + kIngot + " version");
    EXPECT_EQ(ran.code, 7) << ran.out;
    EXPECT_EQ(ran.out, "ingot: INGOT_THREADS: \"" + std::string(threads) + "\" is no whole number from 1 to 1024; correct it, or unset it to use every core\n");
  }
}

TEST_F(Unhappy, ANumberOutOfItsRangeIsToldWithTheRange) {
  const std::vector<std::pair<const char*, const char*>> wrongs = {
      {"generate ingot-base --tokens 0", "--tokens: \"0\" is no whole number of at least 1"},
      {"generate ingot-base --tokens 1.5", "--tokens: \"1.5\" is no whole number of at least 1"},
      {"generate ingot-base --tokens 99999999999999999999", "--tokens: \"99999999999999999999\" is no whole number from 1 to 2147483647"},
      {"generate ingot-base --draft 65", "--draft: \"65\" is no whole number from 0 to 64"},
      {"generate ingot-base --draft abc", "--draft: \"abc\" is no whole number from 0 to 64"},
      {"generate ingot-base --temperature nan", "--temperature: \"nan\" is no number from 0 to 100"},
      {"serve --cache 0", "--cache: \"0\" is no number above 0"},
      {"serve --memory -1", "--memory: \"-1\" is no number of at least 0"},
      {"serve --memory inf", "--memory: \"inf\" is no number of at least 0"},
      {"data csv:none --split 1.5", "--split: \"1.5\" is no number from 0 to 1"}};
  for (const auto& [command, told] : wrongs) {
    const Ran ran = shell(kIngot + " " + command);
    EXPECT_EQ(ran.code, 2) << command << "\n" << ran.out;
    EXPECT_EQ(ran.out.substr(0, ran.out.find('\n')), told) << command;
  }
}

// What was given is called by its name: a folder, a file, an adapter, a model.
TEST_F(Unhappy, ErrorsNameWhatIsWrongAndWhatToDo) {
  write("text.txt", "words");
  fs::create_directories(folder_ / "empty");
  const std::string text = path("text.txt"), empty = path("empty"), gone = path("gone.gguf"), base = "models/ingot-base.gguf";
  struct Wrong {
    std::string command;
    int code;
    std::string told;
  };
  for (const Wrong& wrong : std::vector<Wrong>{
           {"embed " + base + " " + empty, 3, empty + ": this is a folder; give a file"},
           {"tokenize " + base + " " + empty, 3, empty + ": this is a folder; give a file"},
           {"generate " + gone + " -p a", 3, gone + ": there is no such file or folder; give the path of a .gguf file or of a model's folder"},
           {"serve " + path("gone.ingot"), 3, path("gone.ingot") + ": there is no such file or folder; give the path of a .gguf file or of a model's folder"},
           {"pull " + path("gone"), 3, path("gone") + ": there is no such file or folder; check the path; ingot list --catalogue shows the names that there are"},
           {"generate " + base + " -p a --adapter " + text, 3, text + ": the file is no LoRA adapter; give a PEFT folder or a GGUF file of type adapter"},
           {"generate " + base + " -p a --adapter " + empty, 3, empty + ": the folder holds no LoRA adapter: adapter_config.json is missing; give a folder that PEFT saved as safetensors, or a GGUF file"},
           {"quantize " + base + " " + path("none/a.gguf") + " F16", 7, path("none") + ": there is no such folder; make it, or choose another place to write"},
           {"merge " + base + " " + base + " " + empty, 7, empty + ": there is a folder of this name; choose another file to write"},
           {"imatrix " + base + " LICENSE -o " + empty, 7, empty + ": there is a folder of this name; choose another file to write"},
           {"new " + text, 3, text + ": this is a file, not a folder; choose another name for the recipe's folder"},
           {"classify", 2, "no AI is named; give its file, NAME.ingot"}}) {
    const Ran ran = shell(kIngot + " " + wrong.command);
    EXPECT_EQ(ran.code, wrong.code) << wrong.command;
    EXPECT_EQ(ran.out, "ingot: " + wrong.told + "\n") << wrong.command;
  }
}

TEST_F(Unhappy, TextThatIsNotUtf8BuildsAndIsTold) {
  write_bugs("bugs.csv", 200);
  std::ofstream(folder_ / "bugs.csv", std::ios::app | std::ios::binary) << "900,person1,part0,caf\xe9 \x80 word10x,1000900000\n";
  const Ran ran = shell(build("bugs.csv", "a.ingot"));
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_NE(ran.out.find("1252"), std::string::npos) << ran.out;
  const Ran asked = shell("printf 'caf\\351 word10x\\377\\n' | " + kIngot + " classify " + path("a.ingot") + " --json");
  EXPECT_EQ(asked.code, 0) << asked.out;
  EXPECT_EQ(shell("head -c 300000 /dev/urandom | tr -d '\\n' | " + kIngot + " classify " + path("a.ingot") + " --json >/dev/null").code, 0);
}

TEST_F(Unhappy, AFullDiskLeavesNothing) {
  write_bugs("bugs.csv", 200);
  const Ran limited = shell("ulimit -f 64; " + build("bugs.csv", "a.ingot"));
  EXPECT_EQ(limited.code, 7) << limited.out;
  EXPECT_NE(limited.out.find("ulimit"), std::string::npos) << limited.out;
  EXPECT_EQ(files(), 1u) << "only the source";
  if (geteuid() != 0) return;
  fs::create_directories(folder_ / "small");
  if (shell("mount -t tmpfs -o size=128k tmpfs " + path("small")).code != 0) return;
  const Ran full = shell(build("bugs.csv", "small/a.ingot"));
  const bool empty = fs::is_empty(folder_ / "small");
  shell("umount " + path("small"));
  EXPECT_EQ(full.code, 7) << full.out;
  EXPECT_NE(full.out.find("space"), std::string::npos) << full.out;
  EXPECT_TRUE(empty);
}

TEST_F(Unhappy, AFolderThatCannotBeWrittenIsNamed) {
  write_bugs("bugs.csv", 200);
  EXPECT_EQ(shell(build("bugs.csv", "absent/a.ingot")).code, 7);
  // /proc takes no files, even from root.
  const Ran ran = shell(kIngot + " build recipes/triage --source csv:" + path("bugs.csv") + " -o /proc/a.ingot");
  EXPECT_EQ(ran.code, 7) << ran.out;
  EXPECT_NE(ran.out.find("/proc/a.ingot"), std::string::npos) << ran.out;
  ASSERT_EQ(shell(build("bugs.csv", "a.ingot")).code, 0);
  const Ran served = shell("timeout 20 " + kIngot + " serve " + path("a.ingot") + " --port 0 --data /proc/feedback");
  EXPECT_EQ(served.code, 7) << served.out;
  EXPECT_NE(served.out.find("/proc/feedback"), std::string::npos) << served.out;
  fs::create_directories(folder_ / "taken.ingot");
  EXPECT_EQ(shell(build("bugs.csv", "taken.ingot")).code, 7) << "a folder lies where the file is to be";
  EXPECT_EQ(files(), 3u) << "no part of a file stays";
}

TEST_F(Unhappy, ADataFolderInUseIsRefused) {
  const FileLock other(folder_ / "serve.lock", false);
  const Ran second = shell("timeout 20 " + kIngot + " serve ingot-base --port 0 --data " + folder_.string());
  EXPECT_EQ(second.code, 7) << second.out;
  EXPECT_NE(second.out.find("another ingot serve is using this data folder"), std::string::npos) << second.out;
}

TEST_F(Unhappy, AGateNotMetSaysByHowMuchAndPacksNothing) {
  write_bugs("bugs.csv", 300, 40);
  const Ran ran = shell(build("bugs.csv", "a.ingot", "--set gate.engineer_top1=1"));
  EXPECT_EQ(ran.code, 5) << ran.out;
  EXPECT_NE(ran.out.find("short"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("nothing was packed"), std::string::npos) << ran.out;
  EXPECT_EQ(files(), 1u);
}

// How a command ended that got a Ctrl-C, and how long after; its standard input stays open, as a terminal's does.
struct Ended {
  int status;
  double seconds;
};

Ended interrupt(std::vector<std::string> words, int wait_ms) {
  int input[2];
  if (pipe(input) != 0) return {-1, 0};
  const pid_t child = fork();
  if (child == 0) {
    dup2(input[0], 0);
    if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)) _exit(1);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(kIngot.c_str(), argv.data());
    _exit(127);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
  kill(child, SIGINT);
  const auto asked = std::chrono::steady_clock::now();
  int status = 0;
  waitpid(child, &status, 0);
  close(input[0]), close(input[1]);
  return {status, std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count()};
}

TEST_F(Unhappy, CtrlCEndsABuildWithNothingWritten) {
  write_bugs("bugs.csv", 20000);
  for (int wait_ms : {50, 300, 1500}) {
    const auto [status, seconds] = interrupt({"ingot", "build", "recipes/triage", "--source", "csv:" + path("bugs.csv"), "-o", path("a.ingot")}, wait_ms);
    ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status) << " after " << wait_ms;
    if (WEXITSTATUS(status) == 0) break;  // a fast machine was done before
    EXPECT_EQ(WEXITSTATUS(status), 130) << wait_ms;
    EXPECT_LT(seconds, 20.0) << wait_ms;
    EXPECT_EQ(files(), 1u) << "only the source";
  }
}

TEST_F(Unhappy, CtrlCEndsWhatOnlyPrintsAtOnce) {
  std::string words;
  while (words.size() < (4 << 20)) words += "the parser fails when the file is empty ";
  write("long.txt", words);
  const std::string base = "models/ingot-base.gguf", text = path("long.txt");
  // Each would go on for half a minute, or for ever where it waits for input.
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"embed", base, text}, {"embed", base, "-"}, {"perplexity", base, text}, {"imatrix", base, text, "-o", path("a.imatrix")}}) {
    auto line = command;
    line.insert(line.begin(), "ingot");
    const auto [status, seconds] = interrupt(line, 1500);
    ASSERT_TRUE(WIFEXITED(status)) << command[0] << " ended by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 130) << command[0];
    EXPECT_LT(seconds, 1.0) << command[0];
    EXPECT_EQ(files(), 1u) << "only the text";
  }
}

}  // namespace
}  // namespace ingot
