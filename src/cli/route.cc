#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.h"
#include "core/error.h"
#include "core/progress.h"
#include "foundry/ai.h"
#include "guard/topic/router.h"

namespace ingot {

void add_route(CLI::App& app) {
  struct Options {
    std::vector<std::string> files;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("route", "Which of several AIs each line of standard input belongs to, or none");
  command->add_option("files", options->files, "NAME.ingot...")->required();
  command->add_flag("--json", options->json, "one JSON object a line: ai (or null), scores");
  command->callback([options] {
    end_on_interrupt();
    using nlohmann::json;
    std::vector<std::string> names;
    std::vector<std::shared_ptr<const Rails>> rails;
    std::multiset<std::string> own;
    for (const std::string& file : options->files) {
      const auto ai = Ai::open(file);
      if (!ai->rails().topic()) throw Error(ErrorKind::input, "this AI has no topic rail, so nothing says what it is for", file, "build it with --set guard.topic=block");
      own.insert(ai->name());
      names.push_back(ai->name());
      rails.emplace_back(ai, &ai->rails());
    }
    // Those built from one recipe share its name: then the file's tells them apart.
    std::set<std::string> seen;
    for (size_t i = 0; i < names.size(); ++i) {
      if (own.count(names[i]) > 1) names[i] = std::filesystem::path(options->files[i]).stem().string();
      if (!seen.insert(names[i]).second) throw Error(ErrorKind::usage, fmt::format("two of the files are named \"{}\"", names[i]), options->files[i], "give each recipe, or each file, its own name");
    }
    const Router router(rails);
    for (std::string line; std::getline(std::cin, line);) {
      const Route route = router.route(line);
      if (options->json) {
        json scores = json::object();
        for (size_t i = 0; i < names.size(); ++i) scores[names[i]] = route.scores[i];
        fmt::print("{}\n", json{{"ai", route.best ? json(names[*route.best]) : json()}, {"scores", scores}}.dump());
      } else {
        fmt::print("{:<24} {}\n", route.best ? names[*route.best] : "-", line);
      }
      std::fflush(stdout);
    }
  });
}

}  // namespace ingot
