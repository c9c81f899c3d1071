#include "foundry/flywheel.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

#include "core/error.h"
#include "foundry/build.h"
#include "foundry/triage/evaluation.h"
#include "foundry/triage/paired_bootstrap.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr int kWeight = 3;            // a correction is certain; a row of a database is only what was once written there
constexpr double kMayLose = 0.01;     // of top-1 on the held-out bugs, at the lower end of the interval
constexpr size_t kFewestToJudge = 50;
constexpr double kMostOfOne = 0.5;    // share of the corrections that one person may give, once there are ten

// The recipe with the sources and the map it was really built with.
Recipe recipe_of(const Ai& champion) {
  Recipe recipe = parse_recipe(champion.archive().text("recipe.toml"), "recipe.toml");
  const json provenance = json::parse(champion.archive().manifest()).at("provenance");
  recipe.data.sources.clear();
  recipe.data.test.clear();
  for (const json& one : provenance.at("train")) recipe.data.sources.push_back(one.at("source"));
  for (const json& one : provenance.at("test")) recipe.data.test.push_back(one.at("source"));
  recipe.data.map = provenance.value("map", "");
  return recipe;
}

std::vector<double> first_name_hits(const TriageModel& model, const std::vector<Record>& records) {
  std::vector<double> hits;
  for (const Record& record : records) {
    const auto answer = model.classify(record.text, 1);
    hits.push_back(!answer.engineers.empty() && answer.engineers[0].name == record.engineer);
  }
  return hits;
}

double share(const std::vector<double>& hits) {
  double sum = 0;
  for (double hit : hits) sum += hit;
  return hits.empty() ? 0 : sum / static_cast<double>(hits.size());
}

}  // namespace

json turn(const Ai& champion, const std::vector<Correction>& corrections, const std::filesystem::path& out) {
  const Recipe recipe = recipe_of(champion);
  SplitData data = read_and_split(recipe);
  json report = {{"promoted", false}, {"dropped", json::object()}, {"kept", 0}};
  if (data.test.size() < kFewestToJudge) {
    report["verdict"] = fmt::format("nothing is promoted: {} held-out bugs are too few to judge on, at least {} are needed", data.test.size(), kFewestToJudge);
    return report;
  }
  std::unordered_set<std::string> judged;
  for (const Record& record : data.test) judged.insert(record.text);
  std::map<std::string, size_t> dropped, of_person;
  std::map<std::string, std::set<std::string>> said;
  for (const Correction& one : corrections) said[one.text].insert(one.engineer);
  std::set<std::string> seen;
  std::vector<Record> kept;
  const auto cap = static_cast<size_t>(kMostOfOne * static_cast<double>(corrections.size()));
  for (const Correction& one : corrections) {
    if (one.text.empty() || one.engineer.empty()) ++dropped["no text or no engineer"];
    else if (judged.contains(one.text)) ++dropped["is one of the held-out bugs"];
    else if (said[one.text].size() > 1) ++dropped["contradicted by another correction"];
    else if (!seen.insert(one.text).second) ++dropped["said twice"];
    else if (!one.who.empty() && corrections.size() >= 10 && ++of_person[one.who] > cap) ++dropped["more than half from one person"];
    else {
      Record record;
      record.text = one.text;
      record.engineer = one.engineer;
      record.component = one.component;
      record.time = one.time;
      kept.push_back(std::move(record));
    }
  }
  report["kept"] = kept.size();
  report["dropped"] = dropped;
  if (kept.empty()) {
    report["verdict"] = "nothing is promoted: there is no correction to learn from";
    return report;
  }
  // A correction counts as of the newest bug: a clock in the future would make everyone else seem long gone.
  const int64_t newest = data.train.empty() ? 0 : data.train.back().time;
  SplitData enlarged = data;
  for (Record record : kept) {
    record.time = newest;
    for (int i = 0; i < kWeight; ++i) enlarged.train.push_back(record);
  }
  TriageOptions options;
  options.encoder = champion.base().encoder;
  options.similar = recipe.train.similar;
  options.activity = recipe.train.activity;
  options.ablation = recipe.train.ablation;
  options.seed = static_cast<uint64_t>(recipe.train.seed);
  const TriageModel challenger = TriageModel::train(enlarged.train, options);

  const auto before = first_name_hits(champion.triage(), data.test), after = first_name_hits(challenger, data.test);
  const auto asked_before = first_name_hits(champion.triage(), kept), asked_after = first_name_hits(challenger, kept);
  const PairedDifference difference = paired_bootstrap(after, before, options.seed);
  report["champion"] = {{"hash", champion.hash()}, {"top1", share(before)}, {"corrections_right", share(asked_before)}};
  report["challenger"] = {{"top1", share(after)}, {"corrections_right", share(asked_after)}, {"gain", difference.mean}, {"low", difference.low}, {"high", difference.high}};
  report["held_out"] = data.test.size();
  const bool safe = difference.low >= -kMayLose, better = share(asked_after) > share(asked_before) || difference.low > 0;
  report["verdict"] = fmt::format("{}: on {} held-out bugs {:+.2f} points (95 %: {:+.2f} to {:+.2f}), of {} corrections {:.0f} % right instead of {:.0f} %",
                                  safe && better ? "promoted" : "refused", data.test.size(), 100 * difference.mean, 100 * difference.low, 100 * difference.high,
                                  kept.size(), 100 * share(asked_after), 100 * share(asked_before));
  if (!safe || !better) return report;
  pack(recipe, challenger, champion.base(), data, champion.rails(), {{"evaluation", evaluate_triage(challenger, data.test, data.test_skipped)}, {"turn", report}}, out);
  report["promoted"] = true;
  return report;
}

}  // namespace ingot
