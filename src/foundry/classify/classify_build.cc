#include "foundry/classify/classify_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"
#include "core/random.h"
#include "formats/archive.h"
#include "foundry/base.h"
#include "foundry/build.h"
#include "foundry/rails_build.h"
#include "foundry/triage/paired_bootstrap.h"
#include "foundry/sources/source.h"
#include "foundry/triage/evaluation.h"
#include "models/joined_encoder.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

using nlohmann::json;

std::vector<Record> read_labelled(const std::vector<std::string>& sources, const std::string& map, Labelled& data) {
  std::vector<Record> records;
  for (const std::string& source : sources) {
    Dataset read = read_source(source, parse_map(map));
    for (const auto& [reason, count] : read.skipped) data.skipped += count;
    for (std::string& line : explain(read)) data.notes.push_back(std::move(line));
    std::move(read.records.begin(), read.records.end(), std::back_inserter(records));
  }
  if (const size_t dropped = std::erase_if(records, [](const Record& record) { return record.label.empty(); })) {
    data.skipped += dropped;
    data.notes.push_back(fmt::format("{} records not used: no label; say which column with --map 'text=...,label=...'", dropped));
  }
  return records;
}

}  // namespace

Labelled read_labelled(const Recipe& recipe) {
  if (recipe.data.sources.empty()) throw Error(ErrorKind::recipe, "the recipe names no source", "data.sources", "add one, or give --source KIND:PATH");
  Labelled data;
  data.train = read_labelled(recipe.data.sources, recipe.data.map, data);
  std::unordered_map<std::string, std::string> first;
  size_t same = 0, contradicting = 0;
  std::erase_if(data.train, [&](const Record& record) {
    const auto [at, fresh] = first.emplace(record.text, record.label);
    if (fresh) return false;
    ++(at->second == record.label ? same : contradicting);
    return true;
  });
  data.skipped += same + contradicting;
  if (same) data.notes.push_back(fmt::format("{} records not used: the same text and label again", same));
  if (contradicting) data.notes.push_back(fmt::format("{} records not used: the same text has another label above", contradicting));
  const auto most = static_cast<size_t>(recipe.data.max_records);
  Random random(static_cast<uint64_t>(recipe.train.seed));
  const bool timed = !data.train.empty() && data.train.front().time > 0;
  if (timed) std::stable_sort(data.train.begin(), data.train.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  else random.shuffle(data.train);
  if (data.train.size() > most) {
    data.notes.push_back(fmt::format("{} records not used: data.max_records is {}", data.train.size() - most, most));
    data.skipped += data.train.size() - most;
    data.train.erase(data.train.begin(), data.train.end() - static_cast<long>(most));
  }
  if (!recipe.data.test.empty()) {
    data.test = read_labelled(recipe.data.test, recipe.data.map, data);
  } else if (timed) {
    const auto held = static_cast<size_t>(static_cast<double>(data.train.size()) * recipe.data.holdout);
    data.test.assign(data.train.end() - static_cast<long>(held), data.train.end());
    data.train.resize(data.train.size() - held);
  } else {
    std::map<std::string, size_t> count, taken;
    for (const Record& record : data.train) ++count[record.label];
    std::vector<Record> rest;
    for (Record& record : data.train) {
      const bool held = static_cast<double>(taken[record.label]) < std::floor(static_cast<double>(count[record.label]) * recipe.data.holdout);
      if (held) ++taken[record.label];
      (held ? data.test : rest).push_back(std::move(record));
    }
    data.train = std::move(rest);
  }
  return data;
}

namespace {

void check_classify_gate(const Recipe& recipe, const json& evaluation) {
  const double reached = evaluation["accuracy"], majority = evaluation["baselines"]["majority"]["accuracy"];
  if (reached < recipe.gate.accuracy) {
    throw Error(ErrorKind::gate, fmt::format("the gate is not met: accuracy reached {:.3f}, {:.3f} is asked, {:.3f} short", reached, recipe.gate.accuracy, recipe.gate.accuracy - reached),
                "gate.accuracy", "nothing was packed; give more records, or lower the gate in the recipe");
  }
  if (recipe.gate.beat_majority && evaluation["labels"].get<size_t>() > 1 && reached <= majority) {
    throw Error(ErrorKind::gate, fmt::format("the gate is not met: accuracy is {:.3f}, always naming the most common label gives {:.3f}", reached, majority),
                "gate.beat_majority", "nothing was packed; the texts of this data do not say which label they have, or there are too few");
  }
}

}  // namespace

json evaluate_classifier(const TextClassifier& model, std::span<const Record> records, uint64_t skipped) {
  std::vector<std::string> right = labels_of(records), said;
  std::vector<double> confidence;
  std::vector<int> hit;
  std::map<std::string, size_t> count;
  size_t answered = 0, answered_right = 0;
  for (const Record& record : records) {
    const auto answer = model.classify(record.text);
    said.push_back(answer[0].name);
    confidence.push_back(answer[0].p);
    hit.push_back(answer[0].name == record.label);
    ++count[record.label];
    if (answer[0].p >= kAbstainBelow) {
      ++answered;
      answered_right += hit.back();
    }
  }
  const ClassMetrics metrics = class_metrics(right, said);
  size_t most = 0;
  for (const auto& [label, n] : count) most = std::max(most, n);
  const double n = static_cast<double>(std::max<size_t>(records.size(), 1));
  return {{"records", records.size()}, {"skipped", skipped}, {"labels", model.labels().size()}, {"accuracy", metrics.accuracy}, {"f1_weighted", metrics.f1_weighted},
          {"f1_macro", metrics.f1_macro}, {"ece", expected_calibration_error(confidence, hit)}, {"calibration", calibration_bins(confidence, hit)},
          {"abstain", {{"coverage", static_cast<double>(answered) / n}, {"accuracy", answered ? static_cast<double>(answered_right) / static_cast<double>(answered) : 0.0}}},
          {"baselines", {{"majority", {{"accuracy", static_cast<double>(most) / n}}}}}};
}

std::vector<double> hits_of(const TextClassifier& model, std::span<const Record> records) {
  std::vector<double> hits;
  for (const Record& record : records) hits.push_back(model.classify(record.text)[0].name == record.label);
  return hits;
}

std::string classifier_table(const json& e) {
  return fmt::format("  accuracy {:.1f} %, F1 weighted {:.1f} %, F1 macro {:.1f} %; always the most common label {:.1f} %\n"
                     "  calibration error {:.3f}; answers {:.0f} % and abstains on the rest; {:.0f} % of what it answers is right",
                     100 * e["accuracy"].get<double>(), 100 * e["f1_weighted"].get<double>(), 100 * e["f1_macro"].get<double>(),
                     100 * e["baselines"]["majority"]["accuracy"].get<double>(), e["ece"].get<double>(), 100 * e["abstain"]["coverage"].get<double>(),
                     100 * e["abstain"]["accuracy"].get<double>());
}

void pack_classifier(const Recipe& recipe, const TextClassifier& model, const Rails& rails, const std::string& words, const Base& base, std::span<const Record> test,
                     const json& report, const std::filesystem::path& out) {
  ArchiveWriter writer;
  writer.describe(recipe.kind, recipe.name, provenance_of(recipe, report).dump());
  writer.add("recipe.toml", recipe.text);
  writer.add("report.json", report.dump(2));
  writer.add("classify.bin", model.save());
  writer.add("guard.bin", rails.save());
  writer.add("words.bin", words);
  if (base) writer.add_view("model.gguf", base.bytes);
  std::string examples;
  for (size_t i = 0; i < std::min<size_t>(3, test.size()); ++i) {
    examples += json{{"model", recipe.name}, {"input", test[i].text}, {"right", {{"label", test[i].label}}}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  }
  writer.add("examples.jsonl", examples);
  writer.write(out);
}

json build_classify(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto rail_encoders = encoders_of(recipe);
  const auto words = WordVectors::shipped();
  const Base base = open_base(recipe.base);
  const std::shared_ptr<const TextEncoder> encoder = base ? join_encoders({words, base.encoder}) : words;
  Labelled data = read_labelled(recipe);
  for (const std::string& note : data.notes) say("  " + note);
  say(fmt::format("read      {} records to learn from, {} held out to be judged on, {} rows not used", data.train.size(), data.test.size(), data.skipped));
  if (data.train.empty() || data.test.empty()) bad_input(fmt::format("{} records to learn from and {} to judge the AI on are too few", data.train.size(), data.test.size()), "data.sources", "give more of each label, or a test source");
  const auto seed = static_cast<uint64_t>(recipe.train.seed);
  const auto train_texts = texts_of(data.train), test_texts = texts_of(data.test);
  const TextClassifier judged = TextClassifier::train(train_texts, labels_of(data.train), encoder, seed);
  json evaluation = evaluate_classifier(judged, data.test, 0);
  say(fmt::format("evaluated on {} texts it never saw, {} labels:\n{}", data.test.size(), evaluation["labels"].get<size_t>(), classifier_table(evaluation)));
  if (base) {
    const TextClassifier plain = TextClassifier::train(train_texts, labels_of(data.train), words, seed);
    const std::vector<double> alone = hits_of(plain, data.test);
    const PairedDifference d = paired_bootstrap(hits_of(judged, data.test), alone, seed);
    evaluation["base_adds"] = {{"mean", d.mean}, {"low", d.low}, {"high", d.high}};
    say(fmt::format("base      {:+.1f} points over the word vectors alone (95 %: {:+.1f} to {:+.1f}){}", 100 * d.mean, 100 * d.low, 100 * d.high,
                    d.low > 0 ? "" : ": no more than chance, so base = \"none\" makes a smaller and faster AI that is as good"));
  }
  check_classify_gate(recipe, evaluation);
  json guard;
  // A test source of its own stays unseen; what was held out by chance is learnt from before packing.
  const bool learn_all = recipe.data.test.empty();
  const Rails rails = build_rails(recipe, train_texts, test_texts, learn_all, rail_encoders, guard, say);
  std::vector<Record> all = data.train;
  if (learn_all) all.insert(all.end(), data.test.begin(), data.test.end());
  const TextClassifier model = TextClassifier::train(texts_of(all), labels_of(all), encoder, seed);
  if (base) say(features_line(base, recipe.base));
  json report = {{"kind", recipe.kind}, {"name", recipe.name}, {"purpose", recipe.purpose}, {"evaluation", evaluation}, {"guard", guard}, {"notes", data.notes},
                 {"train", {{"records", all.size()}, {"skipped", data.skipped}, {"labels", model.labels()},
                            {"judged_before", learn_all ? "the figures are those of a model that had not seen the held-out part; the packed one has" : ""}}}};
  pack_classifier(recipe, model, rails, words->bytes(), base, data.test, report, out);
  report["file"] = out.string();
  report["bytes"] = std::filesystem::file_size(out);
  report["seconds"] = seconds();
  say(fmt::format("packed    {} ({:.1f} MB) after {:.1f} s", out.string(), report["bytes"].get<double>() / 1e6, seconds()));
  return report;
}

}  // namespace ingot
