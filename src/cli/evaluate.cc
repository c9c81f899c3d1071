#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "foundry/ai.h"
#include "foundry/build.h"
#include "foundry/classify/classify_build.h"
#include "foundry/sources/source.h"
#include "foundry/triage/evaluation.h"

namespace ingot {

void add_evaluate(CLI::App& app) {
  struct Options {
    std::string file, data, map;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("evaluate", "Judge an AI on records it never saw, beside the plain look-ups");
  command->add_option("file", options->file, "NAME.ingot")->required();
  command->add_option("--data", options->data, "KIND:PATH of the records")->required();
  command->add_option("--map", options->map, "FIELD=COLUMN,... for csv and jsonl; by default as it was built");
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options] {
    const auto ai = Ai::open(options->file);
    std::string map = options->map;
    if (map.empty()) {
      map = nlohmann::json::parse(ai->archive().manifest()).at("provenance").value("map", "");
    }
    Dataset data = read_source(options->data, parse_map(map));
    uint64_t skipped = 0;
    for (const auto& [reason, count] : data.skipped) skipped += count;
    const bool labelled = ai->kind() == "classify";
    skipped += std::erase_if(data.records, [&](const Record& record) { return (labelled ? record.label : record.engineer).empty(); });
    if (data.records.empty()) bad_input("no record can be judged", options->data, labelled ? "the records need a text and a label; say which columns with --map" : "the records need a text and an engineer; say which columns with --map");
    for (const std::string& line : explain(data)) fmt::print(stderr, "{}\n", line);
    if (labelled) {
      const auto report = evaluate_classifier(ai->classifier(), data.records, skipped);
      fmt::print("{}\n", options->json ? report.dump() : classifier_table(report));
      return;
    }
    const auto report = evaluate_triage(ai->triage(), data.records, skipped);
    fmt::print("{}\n", options->json ? report.dump() : evaluation_table(report));
  });
}

}  // namespace ingot
