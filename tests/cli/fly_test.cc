// ingot fly as a script would use it, and a turn that is killed anywhere.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "../foundry/planted_bugs.h"
#include "core/data_folder.h"
#include "core/files.h"
#include "foundry/fly/fly_folder.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class FlyCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("flycli_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    file_ = planted::planted_ai(folder_);
    FlyFolder fly(folder_ / "data", true);
    int64_t number = -1;
    fly.adopt("bugs", *Ai::open(file_), &number);
    int64_t said = 0;
    for (const auto& bug : planted::planted_bugs(150, 7, 2, 4, 1003000000)) {
      Feedback f;
      f.receipt = "r" + std::to_string(++said);
      f.model = "bugs";
      f.kind = "label";
      f.text = bug.text;
      f.engineer = bug.engineer;
      f.component = bug.component;
      f.source = f.person = said / 2 % 2 ? "ann" : "bob";  // each in both dialects
      f.arrived = 2000000000 + 60 * said;
      f.time = bug.time;
      fly.feedback().append(f);
    }
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::pair<int, std::string> ingot(const std::string& arguments, const std::string& before = "") {
    FILE* pipe = popen((before + "INGOT_DATA=" + (folder_ / "data").string() + " " INGOT_BINARY " fly " + arguments + " 2>&1").c_str(), "r");
    std::string out;
    char buffer[4096];
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, got);
    const int status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out};
  }
  pid_t begin_turn() {
    const pid_t pid = fork();
    if (pid == 0) {
      if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)) _exit(126);
      execl(INGOT_BINARY, INGOT_BINARY, "fly", "run", "bugs", "--data", (folder_ / "data").c_str(), "--json", nullptr);
      _exit(127);
    }
    return pid;
  }
  fs::path folder_, file_;
};

TEST_F(FlyCommand, RunsShowsAndRollsBack) {
  // A disk that fills in mid-turn: nothing is named, and the champion stays.
  const auto [full, said] = ingot("run bugs", "ulimit -f 200; ");
  EXPECT_EQ(full, 7) << said;
  EXPECT_NE(ingot("status bugs").second.find("version 0"), std::string::npos);
  const auto [code, out] = ingot("run bugs --json");
  ASSERT_EQ(code, 0) << out;
  const json report = json::parse(out);
  EXPECT_EQ(report["kept"], 150);
  EXPECT_TRUE(report["dropped"].empty());
  EXPECT_TRUE(report["champion"].contains("top1"));
  EXPECT_TRUE(report["challenger"].contains("hash"));
  EXPECT_TRUE(report["verdict"].get<std::string>().starts_with("promoted")) << report["verdict"];
  EXPECT_GT(report["cost"]["cpu_seconds"].get<double>(), 0);
  EXPECT_NE(ingot("status bugs").second.find("version 1"), std::string::npos);
  EXPECT_NE(ingot("history bugs").second.find("promoted"), std::string::npos);
  const json back = json::parse(ingot("rollback bugs --json").second);
  EXPECT_EQ(read_file(back["file"].get<std::string>()), read_file(file_));
  EXPECT_EQ(ingot("rollback bugs").first, 3);
  EXPECT_EQ(ingot("status nobody").first, 3);
  EXPECT_NE(ingot("status nobody").second.find("here are: bugs"), std::string::npos);
  const json gone = json::parse(ingot("forget --person ann --json").second);
  EXPECT_EQ(gone["deleted"], 75);
  EXPECT_EQ(gone["models"]["bugs"]["versions_that_learnt"][0]["version"], 1);
  EXPECT_EQ(ingot("run bugs --minutes 0.0001").first, 7);
  EXPECT_EQ(ingot("run bugs --memory-mib 8").first, 7);
  const FileLock other(folder_ / "data" / "bugs" / "turn.lock", false);
  const auto [busy, why] = ingot("run bugs");
  EXPECT_EQ(busy, 7);
  EXPECT_NE(why.find("under way already"), std::string::npos) << why;
}

TEST_F(FlyCommand, AKillAnywhereLeavesTheChampion) {
  FlyFolder fly(folder_ / "data");
  const std::string first = read_file(file_);
  const auto start = std::chrono::steady_clock::now();
  const pid_t whole = begin_turn();
  int status = 0;
  waitpid(whole, &status, 0);
  const double takes = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  ASSERT_EQ(fly.versions().served("bugs")->number, 1);
  fly.roll_back("bugs");
  Random random(3);
  int killed = 0, done = 0;
  for (int round = 0; round < 8; ++round) {
    const pid_t pid = begin_turn();
    // The last quarter, where files are written and named, is met more often.
    const double part = round % 2 ? random.uniform() : 0.75 + 0.3 * random.uniform();
    std::this_thread::sleep_for(std::chrono::duration<double>(takes * part));
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    ++(WIFSIGNALED(status) ? killed : done);
    // What the records name is whole: the champion, or a version that was promoted as a whole.
    const auto now = fly.versions().served("bugs");
    const auto ai = Ai::open(fly.file_of(*fly.versions().find("bugs", now->number)));
    ai->archive().verify();
    EXPECT_EQ(ai->hash(), fly.versions().find("bugs", now->number)->hash);
    EXPECT_EQ(fly.feedback().count("bugs", 0), 150);
    while (fly.versions().served("bugs")->number != 0) fly.roll_back("bugs");
    EXPECT_EQ(read_file(fly.file_of(*fly.versions().find("bugs", 0))), first);
  }
  EXPECT_GT(killed, 0);
  // The next turn clears away what the killed ones left, and succeeds.
  ASSERT_EQ(ingot("run bugs --json").first, 0);
  const size_t named = fly.versions().list("bugs").size();
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "data" / "bugs" / "versions")) files += entry.is_regular_file();
  EXPECT_EQ(files, std::min<size_t>(named, 10)) << killed << " killed, " << done << " done";
}

}  // namespace
}  // namespace ingot
