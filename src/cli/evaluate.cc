#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/random.h"
#include "foundry/ai.h"
#include "foundry/build.h"
#include "foundry/chat/chat_build.h"
#include "foundry/chat/chat_data.h"
#include "foundry/classify/classify_build.h"
#include "foundry/person_names.h"
#include "foundry/sources/source.h"
#include "foundry/triage/evaluation.h"

namespace ingot {

namespace {

void evaluate_conversations(const Ai& ai, const std::string& source, const std::string& map, bool as_json) {
  ChatData data = read_chat(source, map, ai.chat().system);
  drop_repeated(data);
  for (const std::string& note : data.notes) fmt::print(stderr, "{}\n", note);
  const auto report = evaluate_chat(ai.chat(), std::move(data.conversations), {100, ai.chat().max_tokens}, default_team());
  fmt::print("{}\n", as_json ? report.dump() : chat_table(report));
}

}  // namespace

void add_evaluate(CLI::App& app) {
  struct Options {
    std::string file, data, map;
    uint64_t shuffle = 0;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("evaluate", "Judge an AI on records it never saw, beside the plain look-ups");
  command->add_option("file", options->file, "NAME.ingot")->required();
  command->add_option("--data", options->data, "KIND:PATH of the records")->required();
  command->add_option("--map", options->map, "FIELD=COLUMN,... for csv and jsonl; by default as it was built");
  command->add_option("--shuffle-text", options->shuffle, "deal the texts to other records (a seed above 0): what comes from text must fall to chance");
  command->add_flag("--json", options->json, "print one JSON object");
  command->callback([options] {
    end_on_interrupt();
    const auto ai = Ai::open(options->file);
    std::string map = options->map;
    if (ai->kind() == "chat") return evaluate_conversations(*ai, options->data, map, options->json);
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
    if (options->shuffle) {
      Random random(options->shuffle);
      for (size_t i = data.records.size(); i-- > 1;) std::swap(data.records[i].text, data.records[random.below(i + 1)].text);
      fmt::print(stderr, "the texts were dealt to other records: what comes from text must fall to chance\n");
    }
    if (labelled) {
      const auto report = evaluate_classifier(ai->classifier(), data.records, skipped);
      fmt::print("{}\n", options->json ? report.dump() : classifier_table(report));
      return;
    }
    match_spellings(data.records, ai->triage().engineers());
    if (const size_t known = ai->triage().learnt_from(data.records))
      fmt::print(stderr, "{} of these {} records are ones that it has learnt from: the figures say less about new ones\n", known, data.records.size());
    auto report = evaluate_triage(ai->triage(), data.records, skipped);
    if (options->shuffle) report["shuffled_text"] = options->shuffle;
    fmt::print("{}\n", options->json ? report.dump() : evaluation_table(report));
  });
}

}  // namespace ingot
