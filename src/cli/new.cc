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
    say(fmt::format("found     {} records, {} engineers, {} components", found.records, found.people, found.components));
    if (found.last) say(fmt::format("dates     {:%Y-%m-%d} to {:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(found.first)), fmt::gmtime(static_cast<std::time_t>(found.last))));
    say(fmt::format("texts     {} repeated, {} with an e-mail address, {} not in Latin script", found.duplicates, found.with_addresses, found.not_latin));
    for (const LearningPoint& point : found.curve) {
      say(fmt::format("learning  from {:>5} records: AI {:4.1f} %, last toucher of the predicted component {:4.1f} %, always the busiest {:4.1f} %  (on the newest {} bugs)",
                      point.records, 100 * point.ai, 100 * point.last_toucher, 100 * point.majority, found.tested));
    }
    say("verdict   " + found.verdict);
    if (found.build_seconds > 0) say(fmt::format("time      about {:.0f} s to build from everything", found.build_seconds));
    std::string name = std::filesystem::absolute(options->folder).lexically_normal().filename().string();
    const bool usable = !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == std::string::npos;
    std::error_code failed;
    std::filesystem::create_directories(options->folder, failed);
    write_file(file, propose_recipe(found, usable ? name : "triage", options->from, options->map));
    say(fmt::format("wrote     {}\nnext      ingot build {} -o {}.ingot", file.string(), options->folder, usable ? name : "triage"));
    if (options->json) {
      nlohmann::json curve = nlohmann::json::array();
      for (const LearningPoint& point : found.curve) {
        curve.push_back({{"records", point.records}, {"ai", point.ai}, {"majority", point.majority}, {"last_toucher", point.last_toucher}, {"seconds", point.seconds}});
      }
      const nlohmann::json object = {{"records", found.records}, {"engineers", found.people}, {"components", found.components}, {"duplicates", found.duplicates},
                                     {"with_addresses", found.with_addresses}, {"curve", curve}, {"worth_it", found.worth_it}, {"verdict", found.verdict},
                                     {"recipe", file.string()}};
      fmt::print("{}\n", object.dump());
    }
  });
}

}  // namespace ingot
