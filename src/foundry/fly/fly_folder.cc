#include "foundry/fly/fly_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <unordered_map>

#include "core/data_folder.h"
#include "core/error.h"
#include "core/files.h"
#include "foundry/fly/fly_kind.h"
#include "foundry/fly/turn.h"
#include "guard/rates.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kVersionFiles = 10;        // kept to go back to
constexpr int64_t kWatchFrom = 30;          // pieces of feedback on a version before it is compared

std::unique_ptr<Database> open_records(const fs::path& data, bool make) {
  std::error_code failed;
  if (!make && !fs::exists(Database::file_in(data), failed)) bad_input("no feedback was collected here", data.string(), "name the data folder of the service with --data");
  return std::make_unique<Database>(data);
}

// What a rename names is named after a power cut too.
void sync_folder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

// By a name of its own and a rename: never half of it under its name.
void copy_whole(const fs::path& from, const fs::path& to) {
  const MappedFile source(from);
  write_file(to, source.text());
}

void copy_people(const fs::path& from, const fs::path& to) {
  std::error_code none;
  if (fs::exists(People::beside(from), none)) copy_whole(People::beside(from), People::beside(to));
}

// A chat AI that names its base finds it beside its versions, wherever it was when the AI came here.
void link_base(const Ai& ai, const fs::path& versions) {
  if (ai.kind() != "chat" || ai.chat_base().path.empty() || ai.chat_base().file.empty()) return;
  const fs::path link = versions / ai.chat_base().file;
  std::error_code failed;
  fs::remove(link, failed);
  fs::create_symlink(fs::absolute(ai.chat_base().path), link, failed);
  if (failed) throw Error(ErrorKind::environment, "the base of this AI cannot be linked: " + failed.message(), link.string(), "make the data folder writable");
}

json event_object(const FlyEvent& event) {
  json body = json::parse(event.body, nullptr, false);
  return {{"time", event.time}, {"kind", event.kind}, {"version", event.number}, {"report", body.is_discarded() ? json() : body}};
}

bool is_turn(const FlyEvent& event) { return event.kind == "turn" || event.kind == "promoted" || event.kind == "candidate"; }

// A turn's lock; a look at it (turning()) holds it for a moment only, so a few tries tell the two apart.
FileLock turn_lock(const fs::path& folder) {
  for (int attempt = 0;; ++attempt) {
    FileLock lock(folder / "turn.lock", false);
    if (lock.held() || attempt == 5) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Correction correction_of(const Feedback& f) {
  Correction c;
  c.id = f.id;
  c.receipt = f.receipt;
  c.text = f.text;
  c.name = f.kind == "text" ? f.better : f.name();
  c.component = f.component;
  c.source = f.source;
  c.person = f.person;
  c.time = f.time;
  c.arrived = f.arrived;
  c.direct = f.kind == "label" || f.kind == "text";
  c.consent = f.consent;
  c.state = f.state;
  return c;
}

// Is the newer share below the older one beyond chance (95 %)?
bool agrees_less(const FeedbackStore::Agreement& now, const FeedbackStore::Agreement& before) {
  if (now.known < kWatchFrom || before.known < kWatchFrom) return false;
  const double n = static_cast<double>(now.known), m = static_cast<double>(before.known);
  const double a = static_cast<double>(now.right) / n, b = static_cast<double>(before.right) / m;
  const double pooled = static_cast<double>(now.right + before.right) / (n + m);
  return b - a > 1.96 * std::sqrt(std::max(pooled * (1 - pooled), 1e-4) * (1 / n + 1 / m));
}

}  // namespace

FlyFolder::FlyFolder(fs::path data, bool make)
    : data_(fs::absolute(std::move(data))), database_(open_records(data_, make)), feedback_(*database_), versions_(*database_) {}

ServedVersion FlyFolder::served(const std::string& name) {
  if (const auto now = versions_.served(name)) return *now;
  std::string known;
  for (const std::string& one : versions_.models()) known += (known.empty() ? "" : ", ") + one;
  bad_input(fmt::format("there is no AI named \"{}\" in this data folder{}", name, known.empty() ? "" : "; here are: " + known), data_.string(),
            "serve it once with this --data, or say which file it is: ingot fly run NAME --file FILE.ingot");
}

fs::path FlyFolder::adopt(const std::string& name, const Ai& given, int64_t* number) {
  const fs::path from = given.archive().path();
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) bad_input(fmt::format("\"{}\" cannot name a folder of the data folder", name), from.string(), "name it otherwise: serve NAME=FILE");
  const auto now = versions_.served(name);
  const auto known = versions_.find_hash(name, given.hash());
  if (known && now) {
    auto current = versions_.find(name, now->number);
    // A file that somebody took away: the one before it.
    while (current && (current->file.empty() || !fs::exists(file_of(*current)))) current = versions_.find(name, current->parent);
    *number = current ? current->number : known->number;
    return current ? file_of(*current) : from;
  }
  *number = add_given(name, given, now ? now->number : -1);
  if (*number < 0) return adopt(name, given, number);  // another service was first
  return file_of(*versions_.find(name, *number));
}

int64_t FlyFolder::take(const std::string& name, const Ai& given) {
  for (;;) {
    const auto now = versions_.served(name);
    if (const auto current = now ? versions_.find(name, now->number) : std::nullopt; current && current->hash == given.hash()) return current->number;
    if (const int64_t number = add_given(name, given, now ? now->number : -1); number >= 0) {
      clear_old(name);
      return number;
    }
  }
}

int64_t FlyFolder::add_given(const std::string& name, const Ai& given, int64_t parent) {
  const fs::path from = given.archive().path();
  fs::create_directories(folder(name) / "versions");
  AiVersion version;
  version.number = versions_.next_number(name);
  version.hash = given.hash();
  version.file = (fs::path(name) / "versions" / fmt::format("{:04}.ingot", version.number)).string();
  version.origin = "given";
  version.parent = parent;
  version.created = std::time(nullptr);
  version.seen = 0;
  copy_whole(from, file_of(version));
  copy_people(from, file_of(version));
  link_base(given, folder(name) / "versions");
  sync_folder(folder(name) / "versions");
  FlyEvent event;
  event.kind = "given";
  event.number = version.number;
  event.body = json{{"file", fs::absolute(from).string()}, {"folder", fs::current_path().string()}, {"hash", version.hash}}.dump();
  return versions_.add(name, version, parent, -1, {}, event) ? version.number : -1;
}

bool FlyFolder::turning(const std::string& name) const {
  std::error_code none;
  if (!fs::exists(folder(name) / "turn.lock", none)) return false;
  return !FileLock(folder(name) / "turn.lock", false).held();
}

json FlyFolder::run(const std::string& name, const FlyRunOptions& options) {
  const ServedVersion now = served(name);
  const FileLock lock = turn_lock(folder(name));
  if (!lock.held()) throw Error(ErrorKind::environment, fmt::format("a turn of \"{}\" is under way already", name), folder(name).string(), "wait for its end: ingot fly status " + name);
  const auto version = versions_.find(name, now.number);
  if (!version || version->file.empty()) bad_input("the version that is served is gone", folder(name).string(), "serve the AI's file again");
  // What a turn that was killed left behind was never named.
  std::set<std::string> named;
  for (const AiVersion& one : versions_.list(name)) named.insert(one.file);
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder(name) / "versions", none)) {
    std::string file = entry.path().filename().string();
    if (file.find(".ingot") == std::string::npos || file.ends_with(".training")) continue;  // a chat AI's base; a turn that goes on
    file = file.substr(0, file.find(".ingot") + 6);
    if (!named.contains((fs::path(name) / "versions" / file).string()) || entry.path().string().find(".part") != std::string::npos) fs::remove(entry.path(), none);
  }
  const auto champion = Ai::open(file_of(*version));
  TurnInput input;
  input.champion_seen = version->seen;
  input.curate.burst = options.burst;
  const bool chat = champion->kind() == "chat";
  if (chat && options.trial_share >= 0) bad_input("a chat AI's challenger is not tried beside the champion", name, "turn without a trial: ingot fly run " + name);
  std::vector<int64_t> present;  // what may still be learnt from
  int64_t seen = 0;
  feedback_.each(name, 0, [&](const Feedback& f) {
    seen = f.id;
    if (f.state != "rejected") present.push_back(f.id);
    if (f.kind == "bad") return;  // says what was wrong, not what is right
    if (chat != (f.kind == "text")) return;  // one learns from texts, the others from names
    input.corrections.push_back(correction_of(f));
  });
  input.rebuild = versions_.learnt(name, version->number, present) < versions_.learnt_count(name, version->number);
  if (const fs::path cases = folder(name) / "cases.jsonl"; fs::exists(cases, none)) input.cases = read_fixed_cases(read_file(cases, 64 << 20), cases.string());

  AiVersion next;
  next.number = versions_.next_number(name);
  next.file = (fs::path(name) / "versions" / fmt::format("{:04}.ingot", next.number)).string();
  next.origin = "turn";
  next.parent = now.number;
  next.seen = seen;
  json report = {{"name", name}, {"time", static_cast<int64_t>(std::time(nullptr))}};
  report.update(turn(*champion, input, file_of(next)));
  report["champion"]["version"] = now.number;
  FlyEvent event;
  event.seen = seen;
  event.number = now.number;
  event.kind = "turn";
  if (report["promoted"].get<bool>()) {
    const auto opened = Ai::open(file_of(next));
    opened->archive().verify();
    next.hash = opened->hash();
    next.created = std::time(nullptr);
    copy_people(file_of(*version), file_of(next));
    sync_folder(folder(name) / "versions");
    report["challenger"].update({{"version", next.number}, {"hash", next.hash}, {"file", file_of(next).string()}});
    if (options.trial_share >= 0) {
      report["promoted"] = false;
      report["trial"] = options.trial_share;
    }
    event.kind = options.trial_share >= 0 ? "candidate" : "promoted";
    event.number = next.number;
    event.body = report.dump(-1, ' ', false, json::error_handler_t::replace);
    if (versions_.add(name, next, now.number, options.trial_share, input.learnt, event)) {
      clear_old(name);
      return report;
    }
    fs::remove(file_of(next), none);
    report["promoted"] = false;
    report["verdict"] = "nothing is promoted: another version is served since the turn began";
    event.kind = "turn";
    event.number = now.number;
  }
  event.body = report.dump(-1, ' ', false, json::error_handler_t::replace);
  versions_.add_event(name, event);
  return report;
}

void FlyFolder::clear_old(const std::string& name) {
  const auto now = versions_.served(name);
  std::vector<AiVersion> held;
  for (const AiVersion& one : versions_.list(name))
    if (!one.file.empty()) held.push_back(one);
  std::error_code none;
  for (size_t i = 0; i + kVersionFiles < held.size(); ++i) {
    if (held[i].number == now->number || held[i].number == now->candidate) continue;
    versions_.clear_file(name, held[i].number);
    fs::remove(file_of(held[i]), none);
    fs::remove(People::beside(file_of(held[i])), none);
  }
}

json FlyFolder::roll_back(const std::string& name, const std::string& kind, const std::string& why) {
  const ServedVersion now = served(name);
  const auto version = versions_.find(name, now.number);
  auto target = version ? versions_.find(name, version->parent) : std::nullopt;
  if (!target) bad_input(fmt::format("there is no earlier version of \"{}\" to go back to", name), folder(name).string(), "build it anew, or let a turn promote a better one");
  if (target->file.empty() || !fs::exists(file_of(*target)))
    bad_input(fmt::format("version {} of \"{}\" was cleared away", target->number, name), folder(name).string(), fmt::format("the last {} versions are kept", kVersionFiles));
  const json report = {{"name", name}, {"from", {{"version", now.number}, {"hash", version->hash}}}, {"to", {{"version", target->number}, {"hash", target->hash}}},
                       {"file", file_of(*target).string()}, {"why", why}};
  FlyEvent event;
  event.kind = kind;
  event.number = target->number;
  event.body = report.dump();
  versions_.serve(name, target->number, event);
  return report;
}

json FlyFolder::end_trial(const std::string& name, bool promote, const std::string& why) {
  const ServedVersion now = served(name);
  const auto candidate = versions_.find(name, now.candidate);
  if (!candidate) bad_input(fmt::format("no version of \"{}\" is on trial", name), folder(name).string(), "start one with: ingot fly run NAME --trial 0.1");
  const json report = {{"name", name}, {"candidate", {{"version", candidate->number}, {"hash", candidate->hash}}}, {"promoted", promote}, {"why", why}};
  FlyEvent event;
  event.number = candidate->number;
  event.body = report.dump();
  event.kind = promote ? "promoted" : "withdrawn";
  if (promote) versions_.serve(name, candidate->number, event);
  else versions_.withdraw(name, event);
  return report;
}

json FlyFolder::watch(const std::string& name) {
  const auto now = versions_.served(name);
  if (!now) return nullptr;
  const auto version = versions_.find(name, now->number);
  if (!version) return nullptr;
  const auto here = feedback_.agreement(name, version->hash);
  const auto words = [](const char* what, const FeedbackStore::Agreement& a, const FeedbackStore::Agreement& b) {
    return fmt::format("people agree with {} {} of {} times, with the other {} of {}", what, a.right, a.known, b.right, b.known);
  };
  if (const auto candidate = versions_.find(name, now->candidate)) {
    const auto there = feedback_.agreement(name, candidate->hash);
    if (agrees_less(there, here)) return end_trial(name, false, words("the version on trial", there, here));
  }
  const auto parent = versions_.find(name, version->parent);
  if (version->origin != "turn" || !parent || parent->file.empty() || !fs::exists(file_of(*parent))) return nullptr;
  const auto before = feedback_.agreement(name, parent->hash);
  if (!agrees_less(here, before)) return nullptr;
  return roll_back(name, "fell_back", words("this version", here, before));
}

json FlyFolder::agreement(const std::string& name, const std::string& hash) {
  const auto a = feedback_.agreement(name, hash);
  if (!a.known) return {{"known", 0}};
  const Rate rate{static_cast<uint64_t>(a.right), static_cast<uint64_t>(a.known)};
  return {{"known", a.known}, {"right", a.right}, {"share", rate.share()}, {"low", rate.low()}, {"high", rate.high()}};
}

json FlyFolder::status(const std::string& name) {
  const ServedVersion now = served(name);
  json result = {{"name", name}, {"turning", turning(name)}, {"collected", feedback_.count(name, 0)}, {"waiting", waiting(name)},
                 {"kept", 0}, {"dropped", json::object()}, {"held", json::object()}, {"challenger", nullptr}, {"candidate", nullptr}, {"last_turn", nullptr}};
  json versions = json::array();
  for (const AiVersion& one : versions_.list(name)) {
    const json object = {{"version", one.number}, {"hash", one.hash}, {"origin", one.origin}, {"parent", one.parent < 0 ? json() : json(one.parent)}, {"created", one.created},
                         {"file", one.file.empty() ? json() : json(file_of(one).string())}, {"agreement", agreement(name, one.hash)}};
    versions.push_back(object);
    if (one.number == now.number) {
      result["champion"] = object;
      result["champion"]["since"] = now.since;
    }
    if (one.number == now.candidate) {
      result["candidate"] = object;
      result["candidate"]["share"] = now.share;
    }
  }
  result["versions"] = versions;
  for (const FlyEvent& event : versions_.events(name, "", 200)) {
    if (!is_turn(event)) continue;
    const json report = event_object(event)["report"];
    if (!report.contains("verdict")) continue;
    result["last_turn"] = report;
    for (const char* key : {"kept", "dropped", "held", "challenger", "verdict", "judge", "left_out"})
      if (report.contains(key)) result[key] = report[key];
    break;
  }
  result["history"] = history(name, 50);
  return result;
}

void FlyFolder::describe(const std::string& name, json& left_out) {
  std::unordered_map<std::string, json*> by_receipt;
  for (json& one : left_out) by_receipt[one["id"].get<std::string>()] = &one;
  feedback_.each(name, 0, [&](const Feedback& f) {
    if (const auto at = by_receipt.find(f.receipt); at != by_receipt.end())
      at->second->update({{"label", f.name()}, {"component", f.component}, {"better", f.better}, {"text", f.text}, {"source", f.source}, {"person", f.person}});
  });
}

json FlyFolder::history(const std::string& name, size_t most) {
  served(name);
  json list = json::array();
  for (const FlyEvent& event : versions_.events(name, "", most)) {
    json one = event_object(event);
    if (one["report"].is_object()) one["report"].erase("left_out");
    list.push_back(std::move(one));
  }
  return list;
}

json FlyFolder::forget(const std::string& person) {
  const std::vector<Feedback> gone = feedback_.forget(person);
  std::map<std::string, std::vector<int64_t>> by_model;
  for (const Feedback& f : gone) by_model[f.model].push_back(f.id);
  json models = json::object();
  for (const std::string& name : versions_.models()) {
    json versions = json::array();
    const auto now = versions_.served(name);
    for (const AiVersion& one : versions_.list(name)) {
      const int64_t learnt = versions_.learnt(name, one.number, by_model[name]);
      if (learnt && !one.file.empty()) versions.push_back({{"version", one.number}, {"learnt_from", learnt}, {"served", one.number == now->number}, {"file", file_of(one).string()}});
    }
    int64_t named = 0;
    feedback_.each(name, 0, [&](const Feedback& f) { named += f.engineer == person || f.label == person; });
    if (by_model[name].empty() && versions.empty() && !named) continue;
    models[name] = {{"deleted", by_model[name].size()}, {"versions_that_learnt", versions}, {"named_by_others", named}};
    if (!by_model[name].empty()) {
      FlyEvent event;
      event.kind = "forgotten";
      event.body = json{{"records", by_model[name].size()}}.dump();  // and not whose they were
      versions_.add_event(name, event);
    }
  }
  return {{"deleted", gone.size()},
          {"models", models},
          {"remains", "versions that learnt from it keep what they learnt until a turn (ingot fly run NAME) has built one without it; "
                      "files of earlier versions stay until they are cleared away; records of others that name the person as the right answer, and the sources of the recipe, are not touched"}};
}

json FlyFolder::decide(const std::string& name, const std::vector<std::string>& receipts, const std::string& source, const std::string& state) {
  served(name);
  int64_t changed = 0;
  for (const std::string& receipt : receipts) changed += feedback_.decide(name, receipt, "", state);
  if (!source.empty()) changed += feedback_.decide(name, "", source, state);
  return {{"name", name}, {"records", changed}, {"state", state}};
}

int64_t FlyFolder::waiting(const std::string& name) {
  for (const FlyEvent& event : versions_.events(name, "", 50))
    if (is_turn(event) && (event.seen || event.kind == "turn")) return feedback_.count(name, event.seen);
  return feedback_.count(name, 0);
}

int64_t FlyFolder::last_turn(const std::string& name) {
  for (const FlyEvent& event : versions_.events(name, "", 50))
    if (is_turn(event)) return event.time;
  return 0;
}

}  // namespace ingot
