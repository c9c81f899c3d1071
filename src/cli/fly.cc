#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "foundry/fly/fly_folder.h"
#include "foundry/fly/fly_kind.h"
#include "text/utf8.h"

namespace ingot {
namespace {

using nlohmann::json;

// Beside a service: it runs when nobody else wants the processor or the disk, in bounded memory and time. What is half done is
// never named, so ending anywhere loses nothing but the work.
void keep_in_background(int nice) {
  setpriority(PRIO_PROCESS, 0, nice);
  constexpr int kWhoProcess = 1, kIdleClass = 3 << 13;
  if (nice == 19) syscall(SYS_ioprio_set, kWhoProcess, 0, kIdleClass);
}

void bound_memory(int64_t mib) {
  rlimit limit{static_cast<rlim_t>(mib) << 20, static_cast<rlim_t>(mib) << 20};
  setrlimit(RLIMIT_DATA, &limit);
}

void bound_time(double minutes) {
  std::thread([minutes] {
    std::this_thread::sleep_for(std::chrono::duration<double>(minutes * 60));
    fmt::print(stderr, "ingot: the turn took longer than {} minutes and was ended (--minutes)\n", minutes);
    _exit(static_cast<int>(ErrorKind::environment));
  }).detach();
}

bool sources_are_here(FlyFolder& folder, const std::string& name) {
  const auto now = folder.versions().served(name);
  const auto version = now ? folder.versions().find(name, now->number) : std::nullopt;
  if (!version || version->file.empty()) return true;
  const Recipe recipe = recipe_as_built(*Ai::open(folder.file_of(*version)));
  for (const auto* list : {&recipe.data.sources, &recipe.data.test})
    for (const std::string& source : *list) {
      const std::filesystem::path path = source.substr(source.find(':') + 1);
      std::error_code failed;
      if (path.is_relative() && !std::filesystem::exists(path, failed)) return false;
    }
  return true;
}

// Relative sources are those of the folder that the AI was first served in.
void enter_folder_of(FlyFolder& folder, const std::string& name) {
  for (const FlyEvent& event : folder.versions().events(name, "given", 1)) {
    const json body = json::parse(event.body, nullptr, false);
    std::error_code failed;
    if (body.is_object() && body.contains("folder")) std::filesystem::current_path(body["folder"].get<std::string>(), failed);
    // A service that was started elsewhere: what the build read may lie beside the file that it wrote.
    if (body.is_object() && body.contains("file") && !sources_are_here(folder, name)) std::filesystem::current_path(std::filesystem::path(body["file"].get<std::string>()).parent_path(), failed);
  }
}

void print_counts(const char* what, const json& reasons) {
  for (const auto& [reason, count] : reasons.items()) fmt::print("{:<10}{:>6}  {}\n", what, count.get<int64_t>(), reason);
}

void print_turn(const json& report) {
  fmt::print("{:<10}{:>6}\n", "kept", report.value("kept", 0));
  print_counts("dropped", report.value("dropped", json::object()));
  print_counts("held", report.value("held", json::object()));
  if (report.contains("judge"))
    for (const json& one : report["judge"].value("comparisons", json::array()))
      fmt::print("{:<10}{} of {} {} records: {:.1f} % instead of {:.1f} %, {:+.2f} points (95 %: {:+.2f} to {:+.2f}){}\n", "judged", one["measure"].get<std::string>(), one["records"].get<int64_t>(),
                 one["set"].get<std::string>(), 100 * one["challenger"].get<double>(), 100 * one["champion"].get<double>(), 100 * one["gain"].get<double>(), 100 * one["low"].get<double>(),
                 100 * one["high"].get<double>(), one["lost"].get<bool>() ? ": lost" : "");
  fmt::print("{:<10}{}\n", "verdict", report.value("verdict", ""));
}

std::string agreement_words(const json& a) {
  if (a.value("known", 0) == 0) return "nobody has said how good it is";
  return fmt::format("right {} of {} times that people said so (95 %: {:.0f} to {:.0f} %)", a["right"].get<int64_t>(), a["known"].get<int64_t>(), 100 * a["low"].get<double>(), 100 * a["high"].get<double>());
}

void print_status(const json& s) {
  fmt::print("{}: {} pieces of feedback, {} since the last turn{}\n", s["name"].get<std::string>(), s["collected"].get<int64_t>(), s["waiting"].get<int64_t>(), s["turning"].get<bool>() ? ", a turn is under way" : "");
  const json& champion = s["champion"];
  fmt::print("{:<10}version {} ({:.12}): {}\n", "champion", champion["version"].get<int64_t>(), champion["hash"].get<std::string>(), agreement_words(champion["agreement"]));
  if (!s["candidate"].is_null()) fmt::print("{:<10}version {}, {:.0f} % of requests: {}\n", "on trial", s["candidate"]["version"].get<int64_t>(), 100 * s["candidate"]["share"].get<double>(), agreement_words(s["candidate"]["agreement"]));
  if (!s["last_turn"].is_null()) print_turn(s["last_turn"]);
}

void print_history(const json& list) {
  for (const json& one : list) {
    const json& report = one["report"];
    fmt::print("{:%Y-%m-%d %H:%M}  {:<12}version {:>3}  {}\n", fmt::localtime(static_cast<std::time_t>(one["time"].get<int64_t>())), one["kind"].get<std::string>(), one["version"].get<int64_t>(),
               report.is_object() ? report.value("verdict", report.value("why", "")) : "");
  }
}

}  // namespace

void add_fly(CLI::App& app) {
  struct Options {
    std::string name, data, file, person, source, state;
    std::vector<std::string> ids;
    double minutes = 0, trial = -1;
    int64_t memory_mib = 0;
    size_t burst = CurateOptions().burst;
    int nice = 0;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("fly", "The flywheel: learn from feedback, judge, promote what is better, roll back");
  command->require_subcommand(1);
  const auto print = [](const Options& options, const json& report, void (*in_words)(const json&)) {
    if (options.json) fmt::print("{}\n", report.dump(-1, ' ', false, json::error_handler_t::replace));
    else in_words(report);
  };
  const auto add = [&](const char* name, const char* about) {
    CLI::App* sub = command->add_subcommand(name, about);
    sub->add_option("--data", o->data, "data folder of the service; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
    sub->add_flag("--json", o->json, "print one JSON object");
    return sub;
  };
  const auto named = [&](CLI::App* sub) { sub->add_option("name", o->name, "name that the AI is served by")->required(); };

  CLI::App* run = add("run", "One turn: curate the feedback, train, judge, promote; a running service follows");
  named(run);
  run->add_option("--file", o->file, "the AI's file, where it was never served with this data folder");
  run->add_option("--trial", o->trial, "do not promote: let the challenger answer this share of requests; 0: beside the champion, unseen")->check(from_to(0, 1));
  run->add_option("--minutes", o->minutes, "end it after this time; 0: never")->check(at_least(0));
  run->add_option("--memory-mib", o->memory_mib, "memory that it may take; 0: any")->check(whole(0));
  run->add_option("--burst", o->burst, "records of one source within a minute that are held for a look; 0: none are")->check(whole(0));
  run->add_option("--nice", o->nice, "priority, 19: the lowest, of processor and disk")->check(whole(0, 19));
  run->callback([o, print] {
    if (o->nice > 0) keep_in_background(o->nice);
    if (o->memory_mib > 0) bound_memory(o->memory_mib);
    if (o->minutes > 0) bound_time(o->minutes);
    FlyFolder folder(data_folder(o->data), !o->file.empty());
    if (!o->file.empty()) {
      int64_t number = -1;
      folder.adopt(o->name, *Ai::open(o->file), &number);
    }
    enter_folder_of(folder, o->name);
    FlyRunOptions options;
    options.trial_share = o->trial;
    options.burst = o->burst;
    try {
      print(*o, folder.run(o->name, options), print_turn);
    } catch (const std::system_error& error) {
      throw Error(ErrorKind::environment, std::string("the turn could not go on: ") + error.what(), o->name, "allow it more memory (--memory-mib), or free some disk space");
    }
  });
  CLI::App* back = add("rollback", "Serve the version before this one again, byte for byte");
  named(back);
  back->callback([o, print] {
    print(*o, FlyFolder(data_folder(o->data)).roll_back(o->name), [](const json& r) {
      fmt::print("version {} is served instead of {}: {}\n", r["to"]["version"].get<int64_t>(), r["from"]["version"].get<int64_t>(), r["file"].get<std::string>());
    });
  });
  for (const bool promote : {true, false}) {
    CLI::App* end = add(promote ? "promote" : "withdraw", promote ? "Serve the version on trial to all" : "End a trial");
    named(end);
    end->callback([o, print, promote] {
      print(*o, FlyFolder(data_folder(o->data)).end_trial(o->name, promote), [](const json& r) {
        fmt::print("version {} {}\n", r["candidate"]["version"].get<int64_t>(), r["promoted"].get<bool>() ? "is served now" : "is withdrawn");
      });
    });
  }
  CLI::App* status = add("status", "What came in, what was kept, champion and challenger");
  named(status);
  status->callback([o, print] { print(*o, FlyFolder(data_folder(o->data)).status(o->name), print_status); });
  CLI::App* history = add("history", "Turns, promotions and ways back, newest first");
  named(history);
  history->callback([o, print] { print(*o, FlyFolder(data_folder(o->data)).history(o->name), print_history); });
  CLI::App* held = add("held", "Records of the last turn that were left out, and why");
  named(held);
  held->callback([o, print] {
    FlyFolder folder(data_folder(o->data));
    json list = folder.status(o->name).value("left_out", json::array());
    folder.describe(o->name, list);
    print(*o, list, [](const json& list) {
      for (const json& one : list)
        fmt::print("{}  {:<7}  {}\n    {} says {}: {}\n", one["id"].get<std::string>(), one["held"].get<bool>() ? "held" : "dropped", one["reason"].get<std::string>(),
                   one.value("person", "").empty() ? one.value("source", "?") : one.value("person", ""), one.value("label", "?"), utf8_prefix(one.value("text", "(deleted since)"), 160));
    });
  });
  for (const auto& [verb, state, about] : {std::tuple{"accept", "accepted", "Learn from records that were held"}, std::tuple{"reject", "rejected", "Never learn from records"}}) {
    CLI::App* decide = add(verb, about);
    named(decide);
    decide->add_option("ids", o->ids, "ids that the feedback was answered with");
    decide->add_option("--source", o->source, "all of this key or person");
    decide->callback([o, print, decision = std::string(state)] {
      if (o->ids.empty() && o->source.empty()) throw Error(ErrorKind::usage, "no record is named", "fly", "give ids or --source");
      print(*o, FlyFolder(data_folder(o->data)).decide(o->name, o->ids, o->source, decision), [](const json& r) { fmt::print("{} records {}\n", r["records"].get<int64_t>(), r["state"].get<std::string>()); });
    });
  }
  CLI::App* forget = add("forget", "Delete what a person said, and say what remains");
  forget->add_option("--person", o->person, "the feedback's user, or the name of a key")->required();
  forget->callback([o, print] {
    print(*o, FlyFolder(data_folder(o->data)).forget(o->person), [](const json& r) {
      fmt::print("deleted {} records\n", r["deleted"].get<int64_t>());
      for (const auto& [name, one] : r["models"].items()) {
        for (const json& version : one["versions_that_learnt"])
          fmt::print("{}: version {} learnt from {} of them{}: {}\n", name, version["version"].get<int64_t>(), version["learnt_from"].get<int64_t>(), version["served"].get<bool>() ? " and is served" : "", version["file"].get<std::string>());
        if (one["named_by_others"].get<int64_t>()) fmt::print("{}: {} records of others name the person as the right answer\n", name, one["named_by_others"].get<int64_t>());
      }
      fmt::print("{}\n", r["remains"].get<std::string>());
    });
  });
}

}  // namespace ingot
