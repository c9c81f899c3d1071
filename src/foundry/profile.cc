#include "foundry/profile.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <re2/re2.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

#include "core/progress.h"
#include "foundry/triage/evaluation.h"

namespace ingot {
namespace {

constexpr size_t kSubsample = 5000, kFewest = 60;
constexpr double kWorthGain = 0.03;  // of top-1 over the best look-up: less is not felt by anyone

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

DataProfile profile(const std::vector<Record>& all) {
  static const RE2 address(R"([\w.+-]+@[\w-]+\.[\w.-]+)");
  DataProfile result;
  std::set<std::string> people, components;
  std::unordered_set<std::string> texts;
  std::vector<Record> usable;
  for (const Record& record : all) {
    if (record.engineer.empty()) continue;
    usable.push_back(record);
    people.insert(record.engineer);
    if (!record.component.empty()) components.insert(record.component);
    result.duplicates += !texts.insert(record.text).second;
    result.with_addresses += RE2::PartialMatch(record.text, address);
    size_t high = 0;
    for (char c : record.text) high += (c & 0x80) != 0;
    result.not_latin += high * 3 > record.text.size();
    if (record.time) {
      result.first = result.first ? std::min(result.first, record.time) : record.time;
      result.last = std::max(result.last, record.time);
    }
  }
  result.records = usable.size();
  result.people = people.size();
  result.components = components.size();
  if (usable.size() < kFewest || people.size() < 2) {
    result.verdict = fmt::format("with these {} records of {} engineers it is not worth it: there is too little to learn from, or to judge on", usable.size(), people.size());
    return result;
  }
  const size_t take = std::min(usable.size(), kSubsample), held = std::max<size_t>(take / 5, 5);
  const std::span<const Record> newest(usable.data() + usable.size() - take, take);
  const auto test = newest.last(held);
  result.tested = held;
  Progress progress("try on a subsample", 3);
  for (size_t part : {size_t{4}, size_t{2}, size_t{1}}) {
    const auto train = newest.first(take - held).last((take - held) / part);
    progress.advance();
    if (train.size() < 50 || std::set<std::string_view>([&] {
                               std::set<std::string_view> names;
                               for (const Record& record : train) names.insert(record.engineer);
                               return names;
                             }()).size() < 2) {
      continue;
    }
    TriageOptions options;
    options.ablation = false;
    const auto start = std::chrono::steady_clock::now();
    const TriageModel model = TriageModel::train(train, options);
    const auto report = evaluate_triage(model, test, 0);
    LearningPoint point;
    point.records = train.size();
    point.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    point.ai = report["engineer"]["top1"];
    point.majority = report["baselines"]["majority"]["engineer"]["top1"];
    point.last_toucher = report["baselines"]["last_toucher"]["engineer"]["top1"];
    result.curve.push_back(point);
  }
  progress.finish();
  if (result.curve.empty()) {
    result.verdict = fmt::format("with these {} records it is not worth it: there is too little to learn from", usable.size());
    return result;
  }
  const LearningPoint& last = result.curve.back();
  result.build_seconds = last.seconds * 2 * static_cast<double>(usable.size()) / static_cast<double>(last.records);
  const double best = std::max(last.majority, last.last_toucher), gain = last.ai - best;
  result.worth_it = gain >= kWorthGain;
  result.verdict = result.worth_it
                       ? fmt::format("a bug router is worth building: {:.0f} % right at the first name, {:.0f} points over the best look-up", 100 * last.ai, 100 * gain)
                       : fmt::format("with these {} records it is not worth it: the AI would be right {:.0f} % of the time, a plain look-up {:.0f} %", usable.size(),
                                     100 * last.ai, 100 * best);
  return result;
}

std::string propose_recipe(const DataProfile& profile, const std::string& name, const std::vector<std::string>& sources, const std::string& map) {
  std::string list;
  for (const std::string& source : sources) list += (list.empty() ? "" : ", ") + quoted(source);
  return fmt::format(R"(# Written by `ingot new` after looking at the data: {} records, {} engineers, {} components.
# {}
name = {}
kind = "triage"           # ranks engineers and components for a new bug
purpose = "sends each bug to the right engineer and component"
base = "ingot-base"       # the embedded small Llama reads the bugs too; "none": words alone

[data]
sources = [{}]
map = {}                  # FIELD=COLUMN,... for csv and jsonl
holdout = 0.2             # the newest fifth is never learnt from: it judges
max_records = 20000       # the newest; older bugs tell of people who have left

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
                     profile.records, profile.people, profile.components, profile.verdict, quoted(name), list, quoted(map));
}

}  // namespace ingot
