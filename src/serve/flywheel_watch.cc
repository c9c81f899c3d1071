// The desk's own thread: serves what the records name, begins turns as processes of their own, watches how people agree.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "foundry/ai.h"
#include "foundry/fly/fly_folder.h"
#include "foundry/fly/fly_kind.h"
#include "serve/flywheel_desk.h"
#include "serve/model_registry.h"
#include "serve/refusal.h"
#include "serve/subjects.h"

namespace ingot {
namespace {

constexpr int64_t kBetweenTurns = 30, kAfterFailure = 600;  // seconds between turns that begin by themselves
constexpr int64_t kOverdue = 30;                            // seconds beyond its time after which a turn is ended from outside

void tell(const std::string& line) { std::fprintf(stderr, "ingot: flywheel: %s\n", line.c_str()); }

std::string last_lines(const std::filesystem::path& file) {
  try {
    std::string text = read_file(file, 64 << 20);
    if (text.size() > 500) text = text.substr(text.size() - 500);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t line = text.rfind('\n');
    return line == std::string::npos ? text : text.substr(line + 1);
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

FlywheelDesk::~FlywheelDesk() {
  if (!folder_) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (child_ > 0) kill(child_, SIGTERM);
  }
  wake_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  reap(true);
}

void FlywheelDesk::watch() {
  int64_t looked = 0, dropped = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, std::chrono::milliseconds(child_ > 0 ? 50 : 250), [&] { return stopping_; });
    if (stopping_) return;
    std::vector<std::string> names;
    for (const auto& [name, number] : serving_) names.push_back(name);
    lock.unlock();
    try {
      for (const std::string& name : names) follow(name);
      reap(false);
      if (const int64_t now = std::time(nullptr); now - looked >= 2) {
        looked = now;
        for (const std::string& name : names) {
          const nlohmann::json changed = folder_->watch(name);
          if (changed.is_null()) continue;
          tell(fmt::format("{}: {}", name, changed.value("why", "")));
          follow(name);
        }
        begin_due_turns();
        if (now - dropped > 3600) {
          dropped = now;
          drop_old();
        }
      }
    } catch (const std::exception& error) {
      tell(error.what());
    } catch (const Refusal& refusal) {
      tell(refusal.message);
    }
    lock.lock();
  }
}

void FlywheelDesk::follow(const std::string& name) {
  std::lock_guard one_at_a_time(following_);
  const auto named = folder_->versions().served(name);
  if (!named) return;
  int64_t serving = -1, on_trial = -1;
  {
    std::lock_guard lock(mutex_);
    serving = serving_[name];
    if (const auto trial = trials_.find(name); trial != trials_.end()) on_trial = trial->second.version;
  }
  if (named->candidate != on_trial) {
    std::shared_ptr<const Ai> ai;
    if (const auto version = folder_->versions().find(name, named->candidate); version && !version->file.empty()) ai = Ai::open(folder_->file_of(*version));
    std::lock_guard lock(mutex_);
    if (ai) {
      trials_[name] = Trial();
      trials_[name].version = named->candidate;
      trials_[name].share = named->share;
      trials_[name].ai = std::move(ai);
    } else {
      trials_.erase(name);
    }
  }
  if (named->number == serving) return;
  const auto version = folder_->versions().find(name, named->number);
  if (!version || version->file.empty()) return;
  auto next = Ai::open(folder_->file_of(*version));
  if (next->hash() != models_.ai(name)->hash()) {
    models_.replace(name, std::move(next));
    subjects_.renew(models_);
    tell(fmt::format("{}: version {} is served now", name, named->number));
  }
  std::lock_guard lock(mutex_);
  serving_[name] = named->number;
}

void FlywheelDesk::begin_due_turns() {
  if (!site_.turn) return;
  for (const auto& one : models_.list()) {
    if (!one.ai || !one.ai->archive().has("recipe.toml")) continue;
    const int64_t now = std::time(nullptr);
    {
      std::lock_guard lock(mutex_);
      if (!turning_.empty()) return;
      if (now - tried_[one.name] < kBetweenTurns) continue;
    }
    const Recipe recipe = packed_recipe(one.ai->archive().text("recipe.toml"), "recipe.toml");
    if (!recipe.serve.flywheel) continue;
    const int64_t waiting = folder_->waiting(one.name), last = folder_->last_turn(one.name);
    const bool enough = waiting >= recipe.serve.turn_after;
    const bool time = site_.every_hours > 0 && waiting > 0 && static_cast<double>(now - last) >= site_.every_hours * 3600;
    if (!enough && !time) continue;
    const auto events = folder_->versions().events(one.name, "", 1);
    if (!events.empty() && events[0].kind == "failed" && now - events[0].time < kAfterFailure) continue;
    if (folder_->turning(one.name)) continue;
    std::lock_guard lock(mutex_);
    if (!turning_.empty()) return;
    tried_[one.name] = now;
    spawn(one.name, -1);
  }
}

void FlywheelDesk::start_turn(const std::string& model, double trial) {
  FlyFolder& all = folder();
  const std::string name = name_of(model);
  std::lock_guard lock(mutex_);
  if (stopping_) refuse(503, "the service is shutting down");
  if (!turning_.empty()) refuse(409, fmt::format("a turn of \"{}\" is under way; see GET /v1/fly", turning_), "turn_under_way");
  if (all.turning(name)) refuse(409, fmt::format("a turn of \"{}\" is under way, begun by another process", name), "turn_under_way");
  spawn(name, trial);
}

void FlywheelDesk::spawn(const std::string& name, double trial) {
  // A process of its own: what it takes goes back with it, and whatever becomes of it, the service goes on.
  std::string program = own_path().string();
  if (std::error_code gone; !std::filesystem::exists(program, gone)) program = "/proc/self/exe";  // replaced by a newer one meanwhile
  std::vector<std::string> words = {program, "fly", "run", name, "--data", folder_->data().string(), "--json", "--nice", std::to_string(site_.nice), "--minutes", fmt::format("{}", site_.minutes),
                                    "--memory-mib", std::to_string(site_.memory_mib), "--burst", std::to_string(site_.burst)};
  if (trial >= 0) words.insert(words.end(), {"--trial", fmt::format("{}", trial)});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string log = (folder_->data() / name / "turn.log").string();
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, words[0].c_str(), &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failed) throw Refusal{503, fmt::format("no process could be started for the turn: {}", std::strerror(failed)), "", "", 10};
  child_ = pid;
  turning_ = name;
  began_ = std::time(nullptr);
}

void FlywheelDesk::reap(bool wait) {
  std::string name;
  int child = -1;
  int64_t began = 0;
  {
    std::lock_guard lock(mutex_);
    child = child_;
    name = turning_;
    began = began_;
  }
  if (child <= 0) return;
  int status = 0;
  pid_t ended = waitpid(child, &status, WNOHANG);
  for (int i = 0; wait && ended == 0 && i < 100; ++i) {  // it was told to stop; its state needs no farewell
    usleep(20000);
    ended = waitpid(child, &status, WNOHANG);
  }
  const bool overdue = static_cast<double>(std::time(nullptr) - began) > site_.minutes * 60 + kOverdue;
  if (ended == 0 && (wait || overdue)) {
    kill(child, SIGKILL);
    ended = waitpid(child, &status, 0);
  }
  if (ended == 0) return;
  if (!wait) {
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      std::string why = last_lines(folder_->data() / name / "turn.log");
      if (WIFSIGNALED(status)) why = overdue ? fmt::format("it took longer than {} minutes", site_.minutes) : fmt::format("its process was ended by signal {}", WTERMSIG(status));
      FlyEvent event;
      event.kind = "failed";
      event.body = nlohmann::json{{"promoted", false}, {"verdict", "the turn failed, the champion stays: " + why}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      folder_->versions().add_event(name, event);
      tell(fmt::format("{}: the turn failed: {}", name, why));
    }
    follow(name);  // before the turn counts as over: whoever waits for that asks the new version
  }
  std::lock_guard lock(mutex_);
  child_ = -1;
  turning_.clear();
}

void FlywheelDesk::drop_old() {
  const int64_t now = std::time(nullptr);
  for (const auto& one : models_.list()) {
    if (!one.ai) continue;
    if (site_.days > 0) folder_->feedback().drop_old(one.name, "", now - site_.days * 86400);
    for (const FlywheelSite::Source& source : site_.sources)
      if (source.days > 0) folder_->feedback().drop_old(one.name, source.name, now - source.days * 86400);
  }
}

}  // namespace ingot
