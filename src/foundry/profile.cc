#include "foundry/profile.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

#include "core/progress.h"
#include "core/random.h"
#include "foundry/base.h"
#include "foundry/classify/classify_build.h"
#include "foundry/triage/evaluation.h"
#include "foundry/triage/similar_records.h"
#include "guard/private_data.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kSubsample = 5000, kFewest = 60, kVocabulary = 50000;
constexpr size_t kMostRecords = 20000;  // that a proposed recipe takes
constexpr size_t kTimed = 64;           // texts that are read to tell how long the trunk takes
// Whole builds beside one training of as many records without a language model: signals weighed, a curve, rails, evaluation.
constexpr double kBuildToTraining = 4;
constexpr double kWorthGain = 0.03;  // right at the first name over the best look-up: less is not felt by anyone

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

using NameOf = std::string Record::*;

size_t names_in(std::span<const Record> records, NameOf name) {
  std::set<std::string_view> names;
  for (const Record& record : records) names.insert(record.*name);
  return names.size();
}

LearningPoint try_triage(std::span<const Record> train, std::span<const Record> test) {
  TriageOptions options;
  options.ablation = false;
  const json report = evaluate_triage(TriageModel::train(train, options), test, 0);
  LearningPoint point;
  point.ai = report["engineer"]["top1"];
  point.majority = report["baselines"]["majority"]["engineer"]["top1"];
  point.look_up = report["baselines"]["last_toucher"]["engineer"]["top1"];
  return point;
}

// What the language model that a bug router starts from takes to read these texts; those in the cache of features take nothing.
double seconds_to_read(std::span<const Record> records) {
  const Base base = open_base("ingot-base");
  std::vector<std::string> texts;
  for (size_t i = 0; i < std::min(records.size(), kTimed); ++i) texts.push_back(records[i * records.size() / std::min(records.size(), kTimed)].text);
  TriageModel::read(*base.encoder, texts);
  return base.cached->used().seconds * static_cast<double>(records.size()) / static_cast<double>(texts.size());
}

// The label of the most similar text by BM25: what a full-text search would find.
double most_similar(std::span<const Record> train, std::span<const Record> test) {
  std::vector<std::vector<std::string>> words;
  for (const Record& record : train) words.push_back(words_of(record.text));
  const Vocabulary vocabulary = Vocabulary::build(words, kVocabulary);
  std::vector<std::vector<uint32_t>> ids;
  for (const auto& one : words) ids.push_back(vocabulary.ids(one));
  const SimilarRecords similar = SimilarRecords::build(std::move(ids), vocabulary.size());
  size_t right = 0;
  for (const Record& record : test) {
    const auto hits = similar.find(vocabulary.ids(words_of(record.text)), 1);
    right += !hits.empty() && train[hits[0].record].label == record.label;
  }
  return static_cast<double>(right) / static_cast<double>(std::max<size_t>(test.size(), 1));
}

LearningPoint try_classify(std::span<const Record> train, std::span<const Record> test) {
  std::vector<std::string> texts, labels;
  for (const Record& record : train) {
    texts.push_back(record.text);
    labels.push_back(record.label);
  }
  const json report = evaluate_classifier(TextClassifier::train(texts, labels, WordVectors::shipped(), 1), test, 0);
  LearningPoint point;
  point.ai = report["accuracy"];
  point.majority = report["baselines"]["majority"]["accuracy"];
  point.look_up = most_similar(train, test);
  return point;
}

struct Trial {
  const char *kind, *made, *of, *look_up;  // of: what there are few of
  NameOf name;
  std::function<LearningPoint(std::span<const Record>, std::span<const Record>)> run;
  std::function<double(std::span<const Record>)> reading;  // seconds
};

Proposal propose(const Trial& trial, std::vector<Record> usable) {
  Proposal result;
  result.kind = trial.kind;
  result.look_up = trial.look_up;
  const size_t names = names_in(usable, trial.name);
  if (usable.size() < kFewest || names < 2) {
    result.verdict = fmt::format("{}: with these {} records of {} {} it is not worth it: there is too little to learn from, or to judge on", trial.made,
                                 usable.size(), names, trial.of);
    return result;
  }
  if (usable.back().time == 0) Random(1).shuffle(usable);
  const size_t take = std::min(usable.size(), kSubsample), held = std::max<size_t>(take / 5, 5);
  const std::span<const Record> newest(usable.data() + usable.size() - take, take);
  const auto test = newest.last(held);
  result.tested = held;
  Progress progress(fmt::format("try {} on a subsample", trial.kind), 3);
  for (size_t part : {size_t{4}, size_t{2}, size_t{1}}) {
    const auto train = newest.first(take - held).last((take - held) / part);
    progress.advance();
    if (train.size() < 50 || names_in(train, trial.name) < 2) continue;
    const auto start = std::chrono::steady_clock::now();
    LearningPoint point = trial.run(train, test);
    point.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    point.records = train.size();
    result.curve.push_back(point);
  }
  progress.finish();
  if (result.curve.empty()) {
    result.verdict = fmt::format("{}: with these {} records it is not worth it: there is too little to learn from", trial.made, usable.size());
    return result;
  }
  const LearningPoint& last = result.curve.back();
  const std::span<const Record> taken = std::span<const Record>(usable).last(std::min(usable.size(), kMostRecords));
  result.build_seconds = last.seconds * kBuildToTraining * static_cast<double>(taken.size()) / static_cast<double>(last.records) + trial.reading(taken);
  const double best = std::max(last.majority, last.look_up);
  // Two shares of the same few records differ by chance too: twice the binomial variance at most, as if they were independent.
  const double mean = (last.ai + best) / 2, chance = 1.96 * std::sqrt(2 * mean * (1 - mean) / static_cast<double>(held));
  result.worth_it = result.gain() >= std::max(kWorthGain, chance);
  result.verdict = result.worth_it ? fmt::format("{} is worth building: {:.0f} % right at the first name, {:.0f} points over the best look-up", trial.made,
                                                 100 * last.ai, 100 * result.gain())
                                   : fmt::format("{}: with these {} records it is not worth it: the AI would be right {:.0f} % of the time, a plain look-up {:.0f} %",
                                                 trial.made, usable.size(), 100 * last.ai, 100 * best);
  return result;
}

}  // namespace

DataProfile profile(const std::vector<Record>& all) {
  DataProfile result;
  std::unordered_set<std::string_view> texts;
  std::vector<Record> assigned, labelled;
  for (const Record& record : all) {
    if (record.engineer.empty() && record.label.empty()) continue;
    if (!record.engineer.empty()) assigned.push_back(record);
    if (!record.label.empty()) labelled.push_back(record);
    ++result.records;
    result.duplicates += !texts.insert(record.text).second;
    std::set<std::string_view> kinds;
    for (const PrivateSpan& span : find_private_data(record.text)) kinds.insert(name_of(span.kind));
    for (std::string_view kind : kinds) ++result.private_data[std::string(kind)];
    size_t high = 0;
    for (char c : record.text) high += (c & 0x80) != 0;
    result.not_latin += high * 3 > record.text.size();
    if (record.time) {
      result.first = result.first ? std::min(result.first, record.time) : record.time;
      result.last = std::max(result.last, record.time);
    }
  }
  result.people = names_in(assigned, &Record::engineer);
  result.labels = names_in(labelled, &Record::label);
  std::set<std::string_view> components;
  for (const Record& record : assigned) {
    if (!record.component.empty()) components.insert(record.component);
  }
  result.components = components.size();
  const Trial triage{"triage", "a bug router", "engineers", "last toucher of the predicted component", &Record::engineer, try_triage, seconds_to_read};
  const Trial classify{"classify", "a text classifier", "labels", "label of the most similar text", &Record::label, try_classify, [](std::span<const Record>) { return 0.0; }};
  if (!labelled.empty()) result.proposals.push_back(propose(classify, std::move(labelled)));
  if (!assigned.empty() || result.proposals.empty()) result.proposals.push_back(propose(triage, std::move(assigned)));
  std::stable_sort(result.proposals.begin(), result.proposals.end(), [](const Proposal& a, const Proposal& b) { return a.gain() > b.gain(); });
  return result;
}

std::string propose_recipe(const DataProfile& profile, const std::string& name, const std::vector<std::string>& sources, const std::string& map) {
  const Proposal& best = profile.proposals.front();
  std::string list;
  for (const std::string& source : sources) list += (list.empty() ? "" : ", ") + quoted(source);
  const std::string head = fmt::format("# Written by `ingot new` after looking at the data: {} records, {} engineers, {} components, {} labels.\n# {}\nname = {}\n",
                                       profile.records, profile.people, profile.components, profile.labels, best.verdict, quoted(name));
  if (best.kind == "classify") {
    return head + fmt::format(R"(kind = "classify"         # gives each text one of the labels it has seen
purpose = ""              # what the AI is for, to follow "it ..." when a question is declined
base = "none"             # the embedded word vectors; "all-minilm-l6-v2" once it is pulled

[data]
sources = [{}]
map = {}                  # FIELD=COLUMN,... for csv and jsonl
holdout = 0.2             # by time where the records have times, else drawn from every label: it judges
max_records = {}

[guard]                   # each rail off, watch or block; private data may also be masked
topic = "block"           # a question on another subject is declined with a reason
encoder = "auto"          # all-minilm-l6-v2 where it is pulled (ingot pull all-minilm-l6-v2), else the embedded word vectors
private_data = "{}"

[gate]
accuracy = 0.0            # pack nothing that is right less often, from 0 to 1
beat_majority = true      # nor anything that does not beat the most common label
)",
                              list, quoted(map), kMostRecords, profile.private_data.empty() ? "off" : "mask");
  }
  return head + fmt::format(R"(kind = "triage"           # ranks engineers and components for a new bug
purpose = "sends each bug to the right engineer and component"
base = "ingot-base"       # the embedded small Llama reads the bugs too; "none": words alone

[data]
sources = [{}]
map = {}                  # FIELD=COLUMN,... for csv and jsonl
holdout = 0.2             # the newest fifth is never learnt from: it judges
max_records = {}       # the newest; older bugs tell of people who have left

[train]
similar = true            # similar past bugs
activity = true           # who was lately active where
ablation = true           # measure what each signal adds; drop what adds nothing

[guard]                   # each rail off, watch or block; private data may also be masked
topic = "block"           # a question that is no bug is declined with a reason
topic_keep = 0.99         # share of bugs that must pass
topic_stop = 0.98         # bugs come in other words than these: as generous as still stops this share of other subjects
private_data = "off"

[gate]
engineer_top1 = 0.0       # pack nothing that is right less often, from 0 to 1
beat_majority = true      # nor anything that does not beat "always the busiest"
)",
                            list, quoted(map), kMostRecords);
}

}  // namespace ingot
