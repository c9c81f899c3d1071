#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/own_archive.h"
#include "core/progress.h"
#include "foundry/ai.h"
#include "foundry/sources/source.h"
#include "text/utf8.h"

namespace ingot {

void add_classify(CLI::App& app) {
  struct Options {
    std::string file;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("classify", "Rank engineers and components, or labels, for each line of standard input");
  command->add_option("file", options->file, "NAME.ingot; an executable AI is its own");
  command->add_flag("--json", options->json, "one JSON object a line of input");
  command->callback([options] {
    end_on_interrupt();
    const auto ai = Ai::open(own_archive_or(options->file));
    for (std::string line; std::getline(std::cin, line);) {
      to_utf8(line);
      const auto answer = ai->answer(line);
      if (options->json) {
        fmt::print("{}\n", answer.dump());
      } else {
        fmt::print("> {}\n", utf8_prefix(line, 100));
        if (answer.contains("guard") && !answer["guard"]["allowed"].get<bool>()) fmt::print("declined: {}\n", answer["guard"]["reason"].get<std::string>());
        if (ai->kind() == "classify") {
          for (const auto& one : answer["labels"]) fmt::print("{:5.1f} %  {}\n", 100 * one["p"].get<double>(), one["name"].get<std::string>());
          if (!answer["labels"].empty() && answer["abstain"].get<bool>()) fmt::print("not sure enough of any label\n");
          fmt::print("\n");
          continue;
        }
        for (const auto& one : answer["engineers"]) fmt::print("{:5.1f} %  {}\n", 100 * one["p"].get<double>(), one["name"].get<std::string>());
        std::string places;
        for (const auto& one : answer["components"])
          if (one["p"].get<double>() >= 0.01) places += fmt::format("{}{} {:.0f} %", places.empty() ? "" : ", ", one["name"].get<std::string>(), 100 * one["p"].get<double>());
        if (!places.empty()) fmt::print("in      {}\n", places);
        if (!answer["engineers"].empty() && answer["abstain"].get<bool>()) fmt::print("not sure enough to send it to anyone\n");
        for (const auto& bug : answer["why"]["similar"]) {
          fmt::print("  like {} ({}, {}): {}\n", bug["id"].get<std::string>(), bug["engineer"].get<std::string>(), bug["component"].get<std::string>(), bug["text"].get<std::string>());
        }
        fmt::print("\n");
      }
      std::fflush(stdout);
    }
  });
}

}  // namespace ingot
