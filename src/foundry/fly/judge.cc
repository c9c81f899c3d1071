#include "foundry/fly/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "foundry/triage/paired_bootstrap.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kMeanCounts = 500;      // records from which a mean alone can lose; fewer must lose beyond chance
constexpr double kSlower = 2, kSlack = 1;  // a challenger may take twice the time and a millisecond
constexpr double kLarger = 1.5;
constexpr uint64_t kSlackBytes = 8 << 20;
constexpr size_t kTimed = 100;

double hit_share(const std::vector<double>& hits) {
  double sum = 0;
  for (double hit : hits) sum += hit;
  return hits.empty() ? 0 : sum / static_cast<double>(hits.size());
}

}  // namespace

std::vector<FixedCase> read_fixed_cases(const std::string& lines, const std::string& where) {
  std::vector<FixedCase> cases;
  std::istringstream in(lines);
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const json one = json::parse(line, nullptr, false);
    FixedCase fixed;
    if (one.is_object() && one.contains("input") && one["input"].is_string() && one.contains("label")) {
      fixed.text = one["input"];
      const json& label = one["label"];
      const auto text = [&](const char* key) { return label.is_object() && label.contains(key) && label[key].is_string() ? label[key].get<std::string>() : std::string(); };
      fixed.name = label.is_string() ? label.get<std::string>() : text("engineer");
      fixed.component = text("component");
    }
    if (fixed.text.empty() || (fixed.name.empty() && fixed.component.empty()))
      bad_input("this is not a fixed case", fmt::format("{}:{}", where, number), R"(write {"input": TEXT, "label": NAME} or {"input": TEXT, "label": {"engineer": ..., "component": ...}})");
    cases.push_back(std::move(fixed));
  }
  return cases;
}

void Judge::paired(const std::string& set, const std::string& measure, const std::vector<double>& with, const std::vector<double>& without, double may_forget) {
  if (with.size() != without.size() || with.empty()) return;
  const PairedDifference d = paired_bootstrap(with, without, seed_);
  Comparison one{set, measure, with.size(), hit_share(without), hit_share(with), d.mean, d.low, d.high, false};
  one.lost = may_forget > 0 ? one.challenger < (1 - may_forget) * one.champion : d.high < 0 || (with.size() >= kMeanCounts && d.mean < -may_lose_);
  if (one.lost)
    losses_.push_back(fmt::format("{} of the {} {} records: {:+.2f} points (95 %: {:+.2f} to {:+.2f})", measure, with.size(), set, 100 * d.mean, 100 * d.low, 100 * d.high));
  comparisons_.push_back(one);
}

void Judge::fixed(const std::vector<FixedCase>& cases, const std::vector<bool>& champion, const std::vector<bool>& challenger) {
  std::string lost;
  for (size_t i = 0; i < cases.size(); ++i) {
    ++fixed_;
    fixed_champion_ += champion[i];
    fixed_challenger_ += challenger[i];
    if (champion[i] && !challenger[i] && lost.size() < 200) lost += (lost.empty() ? "\"" : ", \"") + cases[i].text.substr(0, 60) + "\"";
  }
  if (!lost.empty()) losses_.push_back("cases that the owner fixed: " + lost);
}

void Judge::speed(double champion_ms, double challenger_ms) {
  champion_ms_ = champion_ms;
  challenger_ms_ = challenger_ms;
  if (challenger_ms_ > kSlower * champion_ms_ + kSlack) losses_.push_back(fmt::format("speed: {:.2f} ms an answer instead of {:.2f}", challenger_ms_, champion_ms_));
}

void Judge::size(uint64_t champion, uint64_t challenger) {
  champion_bytes_ = champion;
  challenger_bytes_ = challenger;
  if (static_cast<double>(challenger) > kLarger * static_cast<double>(champion) + kSlackBytes)
    losses_.push_back(fmt::format("size: {:.1f} MB instead of {:.1f}", static_cast<double>(challenger) / 1e6, static_cast<double>(champion) / 1e6));
}

json Judge::report() const {
  json list = json::array();
  for (const Comparison& one : comparisons_) {
    list.push_back({{"set", one.set}, {"measure", one.measure}, {"records", one.records}, {"champion", one.champion}, {"challenger", one.challenger},
                    {"gain", one.mean}, {"low", one.low}, {"high", one.high}, {"lost", one.lost}});
  }
  return {{"comparisons", list},
          {"fixed_cases", {{"cases", fixed_}, {"champion", fixed_champion_}, {"challenger", fixed_challenger_}}},
          {"ms", {{"champion", champion_ms_}, {"challenger", challenger_ms_}}},
          {"bytes", {{"champion", champion_bytes_}, {"challenger", challenger_bytes_}}},
          {"losses", losses_}};
}

void compare_ranking(Judge& judge, const FlyKind& kind, const std::string& set, const std::vector<Record>& records, const FlyModel& champion, const FlyModel& challenger,
                     double may_forget) {
  struct Hits {
    std::vector<double> first, five, component;
  };
  bool components = false;
  std::vector<std::string> texts;
  for (const Record& record : records) texts.push_back(record.text);
  const auto ask = [&](const FlyModel& model) {
    Hits hits;
    model.read(texts);
    for (const Record& record : records) {
      const RankedNames ranked = model.rank(record.text);
      const std::string name = kind.name_of(record);
      const auto at = std::find(ranked.names.begin(), ranked.names.end(), name);
      hits.first.push_back(at == ranked.names.begin() && at != ranked.names.end());
      hits.five.push_back(at - ranked.names.begin() < 5 && at != ranked.names.end());
      if (record.component.empty() || ranked.component.empty()) continue;
      components = true;
      hits.component.push_back(ranked.component == record.component);
    }
    return hits;
  };
  const Hits before = ask(champion), after = ask(challenger);
  judge.paired(set, "first name", after.first, before.first, may_forget);
  if (kind.recipe().kind == "triage") judge.paired(set, "among five", after.five, before.five, may_forget);
  if (components) judge.paired(set, "component", after.component, before.component, may_forget);
}

void compare_fixed(Judge& judge, const std::vector<FixedCase>& cases, const FlyModel& champion, const FlyModel& challenger) {
  const auto right = [&](const FlyModel& model) {
    std::vector<bool> all;
    for (const FixedCase& one : cases) {
      const RankedNames ranked = model.rank(one.text);
      const bool named = one.name.empty() || (!ranked.names.empty() && ranked.names[0] == one.name);
      all.push_back(named && (one.component.empty() || ranked.component == one.component));
    }
    return all;
  };
  judge.fixed(cases, right(champion), right(challenger));
}

void compare_speed(Judge& judge, const std::vector<Record>& records, const FlyModel& champion, const FlyModel& challenger) {
  if (records.empty()) return;
  std::vector<double> before, after;
  const auto old_one = champion.uncached(), new_one = challenger.uncached();
  const auto timed = [](const FlyModel& model, const std::string& text) {
    const auto start = std::chrono::steady_clock::now();
    model.rank(text);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  for (size_t i = 0; i < std::min(records.size(), kTimed); ++i) {
    before.push_back(timed(*old_one, records[i].text));
    after.push_back(timed(*new_one, records[i].text));
  }
  for (auto* times : {&before, &after}) std::nth_element(times->begin(), times->begin() + static_cast<long>(times->size() / 2), times->end());
  judge.speed(before[before.size() / 2], after[after.size() / 2]);
}

}  // namespace ingot
