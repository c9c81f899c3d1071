#include "foundry/build.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/progress.h"

namespace ingot {

void add_build(CLI::App& app) {
  struct Options {
    std::string recipe, out, map;
    std::vector<std::string> settings, sources, tests;
    bool json = false, full = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("build", "Make a recipe real: read, split by time, train, evaluate, gate, pack");
  command->add_option("recipe", options->recipe, "folder with recipe.toml")->required();
  command->add_option("-o,--output", options->out, "the file to write, NAME.ingot")->required();
  command->add_option("--set", options->settings, "KEY=VALUE, wins over the recipe")->allow_extra_args(false);
  command->add_option("--source", options->sources, "KIND:PATH instead of the recipe's sources")->allow_extra_args(false);
  command->add_option("--test", options->tests, "KIND:PATH with later records to be judged on")->allow_extra_args(false);
  command->add_option("--map", options->map, "FIELD=COLUMN,... for csv and jsonl");
  command->add_flag("--full", options->full, "pack the base of a chat AI too, instead of naming it by hash");
  command->add_flag("--json", options->json, "print the report as one JSON object");
  command->callback([options] {
    Recipe recipe = read_recipe(options->recipe, options->settings);
    if (!options->sources.empty()) recipe.data.sources = options->sources;
    if (!options->tests.empty()) recipe.data.test = options->tests;
    if (!options->map.empty()) recipe.data.map = options->map;
    if (options->full) recipe.pack_full = true;
    const auto report = build(recipe, options->out, [&](const std::string& line) {
      stop_if_interrupted("build");  // between two steps; the file is written last, as a whole
      fmt::print(options->json ? stderr : stdout, "{}\n", line);
      std::fflush(options->json ? stderr : stdout);
    });
    if (options->json) fmt::print("{}\n", report.dump());
  });
}

}  // namespace ingot
