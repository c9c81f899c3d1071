#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "core/files.h"
#include "foundry/build.h"
#include "foundry/profile.h"
#include "foundry/sources/source.h"

namespace ingot {

void add_new(CLI::App& app) {
  struct Options {
    std::string folder, map;
    std::vector<std::string> from;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("new", "Look at data, say what can be made of it and what it would gain, write a recipe");
  command->add_option("folder", options->folder, "where to write recipe.toml")->required();
  command->add_option("--from", options->from, "KIND:PATH; without it, the Debian changelogs of this machine")->allow_extra_args(false);
  command->add_option("--map", options->map, "FIELD=COLUMN,... for csv and jsonl");
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options] {
    const std::filesystem::path file = std::filesystem::path(options->folder) / "recipe.toml";
    if (std::filesystem::exists(file)) bad_input("there is a recipe already", file.string(), "choose another folder, or remove it");
    if (std::filesystem::exists(options->folder) && !std::filesystem::is_directory(options->folder)) bad_input("this is a file, not a folder", options->folder, "choose another name for the recipe's folder");
    if (options->from.empty()) options->from = {"changelogs:/usr/share/doc"};
    const auto say = [&](const std::string& line) { fmt::print(options->json ? stderr : stdout, "{}\n", line); };
    std::vector<Record> records;
    for (const std::string& source : options->from) {
      Dataset data = read_source(source, parse_map(options->map));
      say(fmt::format("{}: {} rows read, {} usable", data.described, data.rows_read, data.records.size()));
      for (const std::string& line : explain(data)) say("  " + line);
      std::move(data.records.begin(), data.records.end(), std::back_inserter(records));
    }
    std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
    const DataProfile found = profile(records);
    std::string counts;
    const auto count = [&](size_t n, const char* of) {
      if (n) counts += fmt::format(", {} {}", n, of);
    };
    count(found.people, "engineers"), count(found.components, "components"), count(found.labels, "labels");
    say(fmt::format("found     {} records{}", found.records, counts));
    if (found.last) say(fmt::format("dates     {:%Y-%m-%d} to {:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(found.first)), fmt::gmtime(static_cast<std::time_t>(found.last))));
    say(fmt::format("texts     {} repeated, {} not in Latin script", found.duplicates, found.not_latin));
    for (const auto& [kind, n] : found.private_data) say(fmt::format("private   {} records hold {}", n, kind));
    for (const Proposal& one : found.proposals) {
      for (const LearningPoint& point : one.curve) {
        say(fmt::format("learning  {}, from {:>5} records: AI {:4.1f} %, {} {:4.1f} %, always the most common {:4.1f} %  (on {} held out)", one.kind, point.records,
                        100 * point.ai, one.look_up, 100 * point.look_up, 100 * point.majority, one.tested));
      }
      say("verdict   " + one.verdict);
      if (one.build_seconds > 0) say(fmt::format("time      about {:.0f} s to build on this machine", one.build_seconds));
    }
    std::string name = std::filesystem::absolute(options->folder).lexically_normal().filename().string();
    const bool usable = !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == std::string::npos;
    std::error_code failed;
    std::filesystem::create_directories(options->folder, failed);
    write_file(file, propose_recipe(found, usable ? name : "triage", options->from, options->map));
    say(fmt::format("wrote     {}\nnext      ingot build {} -o {}.ingot", file.string(), options->folder, usable ? name : "triage"));
    if (options->json) {
      nlohmann::json proposals = nlohmann::json::array();
      for (const Proposal& one : found.proposals) {
        nlohmann::json curve = nlohmann::json::array();
        for (const LearningPoint& point : one.curve) {
          curve.push_back({{"records", point.records}, {"ai", point.ai}, {"majority", point.majority}, {"look_up", point.look_up}, {"seconds", point.seconds}});
        }
        proposals.push_back({{"kind", one.kind}, {"look_up", one.look_up}, {"curve", curve}, {"gain", one.gain()}, {"worth_it", one.worth_it}, {"verdict", one.verdict},
                             {"build_seconds", one.build_seconds}});
      }
      const nlohmann::json object = {{"records", found.records}, {"engineers", found.people}, {"components", found.components}, {"labels", found.labels},
                                     {"duplicates", found.duplicates}, {"private_data", found.private_data}, {"proposals", proposals},
                                     {"worth_it", found.proposals.front().worth_it}, {"verdict", found.proposals.front().verdict}, {"recipe", file.string()}};
      fmt::print("{}\n", object.dump());
    }
  });
}

}  // namespace ingot
