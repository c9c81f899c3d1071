#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/guard_command.h"
#include "cli/own_archive.h"
#include "foundry/ai.h"

namespace ingot {

void add_guard(CLI::App& app) {
  struct Options {
    std::string file;
    std::string stage = "input";
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* guard = app.add_subcommand("guard", "What an AI's rails say, without an answer");
  guard->require_subcommand(1);
  add_guard_try(*guard);
  add_guard_learn(*guard);
  CLI::App* command = guard->add_subcommand("check", "Each line of standard input: may it pass, and which rail stopped it");
  command->add_option("file", options->file, "NAME.ingot; an executable AI is its own");
  command->add_option("--stage", options->stage, "where the text stands")->check(CLI::IsMember({"input", "retrieved", "output"}))->capture_default_str();
  command->add_flag("--json", options->json, "one JSON object a line: allowed, rail, score, reason, ms");
  command->callback([options] {
    using nlohmann::json;
    const auto ai = Ai::open(own_archive_or(options->file));
    for (std::string line; std::getline(std::cin, line);) {
      const Rails& rails = ai->rails();
      const Verdict verdict = options->stage == "input" ? rails.check(line) : options->stage == "output" ? rails.check_output(line) : rails.check_retrieved(line);
      if (options->json) {
        const json object = {{"allowed", verdict.allowed}, {"rail", verdict.rail.empty() ? json() : json(verdict.rail)},
                             {"score", verdict.score ? json(*verdict.score) : json()}, {"reason", verdict.reason}, {"ms", verdict.ms}, {"watched", verdict.watched}};
        fmt::print("{}\n", object.dump(-1, ' ', false, json::error_handler_t::replace));
      } else {
        fmt::print("{:<8} {}  {}\n", verdict.allowed ? "pass" : "stop", verdict.score ? fmt::format("{:.3f}", *verdict.score) : "    -", verdict.reason);
        for (const std::string& watched : verdict.watched) fmt::print("         watched  {}\n", watched);
      }
      std::fflush(stdout);
    }
  });
}

}  // namespace ingot
