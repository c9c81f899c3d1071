#include "foundry/build.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/sha256.h"
#include "formats/archive.h"
#include "foundry/chat/chat_build.h"
#include "foundry/classify/classify_build.h"
#include "foundry/rails_build.h"
#include "foundry/person_names.h"
#include "foundry/sources/source.h"
#include "foundry/triage/evaluation.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

using nlohmann::json;

// The newest records are held, 0: all; how many older ones were let go of is added to `older`.
std::vector<Record> read_all(const std::vector<std::string>& sources, const std::string& map, size_t newest, uint64_t& older, uint64_t& skipped,
                             std::vector<std::string>& notes) {
  const ColumnMap columns = parse_map(map);
  std::vector<Record> records;
  Holding hold;
  hold.newest = newest;
  hold.refuse = [](const Record& record) -> std::string { return record.engineer.empty() ? "no engineer is named" : ""; };
  for (const std::string& source : sources) {
    Dataset data = read_source(source, columns, hold);
    for (const auto& [reason, count] : data.skipped) skipped += count;
    older += data.older;
    for (std::string& line : explain(data)) notes.push_back(std::move(line));
    std::move(data.records.begin(), data.records.end(), std::back_inserter(records));
  }
  std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  return records;
}

double at(const json& object, std::initializer_list<const char*> keys) {
  const json* value = &object;
  for (const char* key : keys) {
    if (!value->contains(key)) return 0;
    value = &(*value)[key];
  }
  return value->is_number() ? value->get<double>() : 0;
}

// The newest test bugs of different components, a request body for /classify each: something to ask the AI that it never saw.
std::string examples(const std::string& model, const std::vector<Record>& test) {
  std::string lines;
  std::set<std::string> components;
  for (size_t i = test.size(); i-- > 0 && components.size() < 3;) {
    if (!components.insert(test[i].component).second) continue;
    lines += json{{"model", model}, {"input", test[i].text}, {"right", {{"engineer", test[i].engineer}, {"component", test[i].component}}}}.dump(
                 -1, ' ', false, json::error_handler_t::replace) +
             "\n";
  }
  return lines;
}

// Accuracy from only the newest eighth, quarter and half of the records: is more data worth collecting? Without the Llama.
json learning(const SplitData& data, const TriageOptions& options, const json& whole, const std::function<void(const std::string&)>& say) {
  json points = json::array();
  const auto point = [&](size_t records, const json& e) {
    points.push_back({{"records", records}, {"engineer", e["engineer"]}, {"component", e["component"]}});
    say(fmt::format("learning  from the newest {:>6} records: engineer top-1 {:5.1f} %, top-5 {:5.1f} %, component {:5.1f} %", records,
                    100 * at(e, {"engineer", "top1"}), 100 * at(e, {"engineer", "top5"}), 100 * at(e, {"component", "top1"})));
  };
  TriageOptions less = options;
  less.encoder = nullptr;
  less.ablation = false;
  for (size_t share : {8, 4, 2}) {
    const size_t count = data.train.size() / share;
    if (count < 100) continue;
    const auto part = std::span(data.train).last(count);
    if (std::all_of(part.begin(), part.end(), [&](const Record& record) { return record.engineer == part[0].engineer; })) continue;
    point(count, evaluate_triage(TriageModel::train(part, less), data.test, 0));
  }
  point(data.train.size(), whole);
  return points;
}

void check_triage_gate(const Recipe& recipe, const json& evaluation) {
  const auto require = [&](const char* key, double reached, double least) {
    if (reached < least) {
      throw Error(ErrorKind::gate, fmt::format("the gate is not met: {} reached {:.3f}, {:.3f} is asked, {:.3f} short", key, reached, least, least - reached),
                  "gate." + std::string(key), "nothing was packed; give more records, or lower the gate in the recipe");
    }
  };
  require("engineer_top1", at(evaluation, {"engineer", "top1"}), recipe.gate.engineer_top1);
  require("component_top1", at(evaluation, {"component", "top1"}), recipe.gate.component_top1);
  const double reached = at(evaluation, {"engineer", "top1"}), majority = at(evaluation, {"baselines", "majority", "engineer", "top1"});
  if (recipe.gate.beat_majority && reached <= majority) {
    throw Error(ErrorKind::gate,
                fmt::format("the gate is not met: engineer top-1 is {:.3f}, always naming the busiest engineer gives {:.3f}", reached, majority),
                "gate.beat_majority", "nothing was packed; the texts of this data do not say who takes a bug, or there are too few");
  }
}

}  // namespace

TriageOptions triage_options(const Recipe& recipe, std::shared_ptr<const TextEncoder> encoder) {
  TriageOptions options;
  options.encoder = std::move(encoder);
  options.similar = recipe.train.similar;
  options.activity = recipe.train.activity;
  options.ablation = recipe.train.ablation;
  options.seed = static_cast<uint64_t>(recipe.train.seed);
  return options;
}

json provenance_of(const Recipe& recipe, const json& report) {
  json provenance = {{"ingot", INGOT_VERSION}, {"base", recipe.base}, {"train", describe_inputs(recipe.data.sources)}, {"test", describe_inputs(recipe.data.test)}, {"map", recipe.data.map}};
  if (report.contains("turn")) provenance["turn"] = {{"champion", report["turn"]["champion"]["hash"]}, {"corrections", report["turn"]["kept"]}};
  return provenance;
}

json describe_inputs(const std::vector<std::string>& sources) {
  json list = json::array();
  for (const std::string& source : sources) {
    json one = {{"source", source}};
    const std::filesystem::path path = source.substr(source.find(':') + 1);
    std::error_code none;
    if (std::filesystem::is_regular_file(path, none)) one["sha256"] = hex(sha256(MappedFile(path).bytes()));
    list.push_back(one);
  }
  return list;
}

std::vector<std::string> explain(const Dataset& data) {
  std::vector<std::string> lines;
  for (const auto& [reason, count] : data.skipped) {
    std::string line = fmt::format("{} rows not used: {}", count, reason);
    std::string places;
    for (const SkippedRow& row : data.examples) {
      if (row.reason == reason) places += fmt::format("{}{}{}", places.empty() ? "" : ", ", row.file, row.line ? fmt::format(":{}", row.line) : "");
    }
    if (!places.empty()) line += fmt::format(" ({}{})", places, count > 5 ? ", ..." : "");
    lines.push_back(std::move(line));
  }
  for (const std::string& note : data.notes) lines.push_back(note);
  return lines;
}

SplitData read_and_split(const Recipe& recipe) {
  if (recipe.data.sources.empty()) {
    throw Error(ErrorKind::recipe, "the recipe names no source", "data.sources", "add one, or give --source KIND:PATH");
  }
  SplitData split;
  const auto most = static_cast<size_t>(recipe.data.max_records);
  uint64_t older = 0;
  split.train = read_all(recipe.data.sources, recipe.data.map, most, older, split.train_skipped, split.notes);
  if (!recipe.data.test.empty()) {
    uint64_t none = 0;
    split.test = read_all(recipe.data.test, recipe.data.map, 0, none, split.test_skipped, split.notes);
  }
  if (const size_t merged = merge_spellings(split.train)) {
    split.notes.push_back(fmt::format("{} spellings of engineers' names were merged into others of the same person", merged));
  }
  if (!split.test.empty()) {
    std::set<std::string> names;
    for (const Record& record : split.train) names.insert(record.engineer);
    match_spellings(split.test, std::vector<std::string>(names.begin(), names.end()));
  }
  if (split.train.size() > most) {
    older += split.train.size() - most;
    split.train.erase(split.train.begin(), split.train.end() - static_cast<long>(most));
  }
  if (older) {
    split.notes.push_back(fmt::format("the {} oldest records not used: data.max_records is {}", older, most));
    split.train_skipped += older;
  }
  if (recipe.data.test.empty()) {
    const auto held = static_cast<size_t>(static_cast<double>(split.train.size()) * recipe.data.holdout);
    split.test.assign(split.train.end() - static_cast<long>(held), split.train.end());
    split.train.resize(split.train.size() - held);
  }
  // The same bug on both sides would be an answer learnt by heart.
  std::unordered_set<std::string> seen;
  for (const Record& record : split.test) {
    seen.insert("text " + record.text);
    if (!record.id.empty()) seen.insert("id " + record.id);
  }
  const size_t both = std::erase_if(split.train, [&](const Record& record) { return seen.contains("text " + record.text) || (!record.id.empty() && seen.contains("id " + record.id)); });
  if (both) split.notes.push_back(fmt::format("{} training records not used: the same text or id is in the test", both));
  split.train_skipped += both;
  if (!split.train.empty() && !split.test.empty() && split.train.back().time > split.test.front().time) {
    split.notes.push_back("some test records are older than the newest training record: the figures are not strictly about the future");
  }
  std::map<std::string, size_t> counts;
  for (const Record& record : split.train) ++counts[record.engineer];
  const auto once = std::count_if(counts.begin(), counts.end(), [](const auto& one) { return one.second < 2; });
  if (once) split.notes.push_back(fmt::format("{} of {} engineers have a single record, too few to learn their words", once, counts.size()));
  return split;
}

json signals_of(const TriageModel& model) {
  json signals = json::array();
  for (const SignalGain& gain : model.gains())
    signals.push_back({{"of", gain.of}, {"signal", gain.signal}, {"rank_gain", gain.rank_gain}, {"gain", gain.gain}, {"low", gain.low}, {"high", gain.high}, {"kept", gain.kept}});
  return signals;
}

json pack(const Recipe& recipe, const TriageModel& model, const Base& base, const SplitData& data, const Rails& rails, const json& more,
          const std::filesystem::path& out) {
  json report = {{"kind", recipe.kind}, {"name", recipe.name}, {"purpose", recipe.purpose}};
  report.update(more);
  ArchiveWriter writer;
  writer.describe(recipe.kind, recipe.name, provenance_of(recipe, report).dump());
  writer.add("recipe.toml", recipe.text);
  writer.add("report.json", report.dump(2));
  writer.add("coverage.svg", coverage_svg(model, data.test));
  writer.add("triage.bin", model.save());
  writer.add("guard.bin", rails.save());
  if (const auto* words = dynamic_cast<const WordVectors*>(rails.word_encoder().get())) {
    writer.add("words.bin", words->bytes());
  }
  if (model.uses_llama()) writer.add_view("model.gguf", base.bytes);
  writer.add("examples.jsonl", examples(recipe.name, data.test));
  writer.write(out);
  return report;
}

json build(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say) {
  check_output(out);
  if (recipe.kind == "classify") return build_classify(recipe, out, say);
  if (recipe.kind == "chat") return build_chat(recipe, out, say);
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto rail_encoders = encoders_of(recipe);
  SplitData data = read_and_split(recipe);
  for (const std::string& note : data.notes) say("  " + note);
  say(fmt::format("read      {} records to learn from, {} later ones to be judged on, {} rows not used", data.train.size(), data.test.size(),
                  data.train_skipped + data.test_skipped));
  if (data.test.empty()) bad_input("there is no record to judge the AI on", "data.test", "give more records, or a test source");
  const Base base = open_base(recipe.train.llama ? recipe.base : "none");
  const TriageOptions options = triage_options(recipe, base.encoder);
  const TriageModel model = TriageModel::train(data.train, options);
  const double trained = seconds();
  if (base) say(features_line(base, recipe.base));
  say(fmt::format("trained   {} engineers, {} components, in {:.1f} s", model.engineers().size(), model.components().size(), trained));
  for (const SignalGain& gain : model.gains()) {
    say(fmt::format("signal    {:<9} {:<36}{:+6.1f} points of top-1 (95 %: {:+.1f} to {:+.1f}), {:+.1f} of mean rank{}", gain.of, gain.signal, 100 * gain.gain,
                    100 * gain.low, 100 * gain.high, 100 * gain.rank_gain, gain.kept ? "" : ": dropped"));
  }
  json evaluation = evaluate_triage(model, data.test, data.test_skipped);
  if (recipe.train.ablation) evaluation["learning"] = learning(data, options, evaluation, say);
  say("evaluated on " + std::to_string(data.test.size()) + " bugs it never saw:\n" + evaluation_table(evaluation));
  check_triage_gate(recipe, evaluation);
  say("gate      met");
  json guard;
  const Rails rails = build_rails(recipe, texts_of(data.train), texts_of(data.test), false, rail_encoders, guard, say);

  json report = pack(recipe, model, base, data, rails,
                     {{"evaluation", evaluation},
                      {"guard", guard},
                      {"signals", signals_of(model)},
                      {"notes", data.notes},
                      {"train", {{"records", data.train.size()}, {"skipped", data.train_skipped}, {"engineers", model.engineers().size()},
                                 {"components", model.components().size()}, {"seconds", trained}}}},
                     out);
  report["file"] = out.string();
  report["bytes"] = std::filesystem::file_size(out);
  report["seconds"] = seconds();
  say(fmt::format("packed    {} ({:.1f} MB) after {:.1f} s", out.string(), report["bytes"].get<double>() / 1e6, seconds()));
  return report;
}

std::string evaluation_table(const json& e) {
  std::string table = fmt::format("  {:<38}{:>8}{:>8}{:>8}{:>12}{:>9}{:>9}\n", "", "top-1", "top-5", "top-10", "component", "F1 wtd", "F1 mac");
  const auto line = [&](const char* name, const json& of) {
    const auto number = [&](const char* group, const char* key) {
      return of.contains(group) && of[group].contains(key) ? fmt::format("{:.1f} %", 100 * of[group][key].get<double>()) : std::string("-");
    };
    table += fmt::format("  {:<38}{:>8}{:>8}{:>8}{:>12}{:>9}{:>9}\n", name, number("engineer", "top1"), number("engineer", "top5"), number("engineer", "top10"),
                         number("component", "top1"), number("component", "f1_weighted"), number("component", "f1_macro"));
  };
  line("this AI, from the text alone", e);
  line("sparse linear model alone", e["baselines"]["sparse"]);
  line("last toucher, component predicted", e["baselines"]["last_toucher"]);
  line("last toucher, component GIVEN", e["baselines"]["last_toucher_component_given"]);
  line("always the busiest", e["baselines"]["majority"]);
  table += fmt::format("  calibration error {:.3f}; unseen engineers {} of {} (counted as misses)", at(e, {"ece"}), e["unseen"].get<size_t>(), e["records"].get<size_t>());
  table += fmt::format("\n  answers {:.0f} % of the bugs and abstains on the rest; {:.0f} % of what it answers is right", 100 * at(e, {"abstain", "coverage"}),
                       100 * at(e, {"abstain", "accuracy"}));
  return table;
}

}  // namespace ingot
