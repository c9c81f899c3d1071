#include "foundry/triage/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_map>

namespace ingot {
namespace {

using nlohmann::json;

// A ranking's hits within the first 1, 5 and 10, and the mean reciprocal rank.
struct Ranks {
  size_t cases = 0;
  double top1 = 0, top5 = 0, top10 = 0, reciprocal = 0;
  void add(long rank) {  // from 0; -1: not in the ranking
    ++cases;
    if (rank < 0) return;
    top1 += rank < 1;
    top5 += rank < 5;
    top10 += rank < 10;
    reciprocal += 1.0 / (rank + 1);
  }
  json object() const {
    const double n = std::max<size_t>(cases, 1);
    return {{"top1", top1 / n}, {"top5", top5 / n}, {"top10", top10 / n}, {"mrr", reciprocal / n}};
  }
};

long rank_in(std::span<const float> scores, int right) {
  if (right < 0) return -1;
  long rank = 0;
  for (size_t i = 0; i < scores.size(); ++i) rank += scores[i] > scores[right] || (scores[i] == scores[right] && static_cast<int>(i) < right);
  return rank;
}

long rank_in(std::span<const int> order, int right) {
  const auto at = std::find(order.begin(), order.end(), right);
  return right < 0 || at == order.end() ? -1 : at - order.begin();
}

json component_object(std::span<const std::string> right, std::span<const std::string> predicted) {
  const ClassMetrics m = class_metrics(right, predicted);
  return {{"top1", m.accuracy}, {"f1_weighted", m.f1_weighted}, {"f1_macro", m.f1_macro}};
}

int index_of(const std::vector<std::string>& names, const std::string& name) {
  const auto at = std::lower_bound(names.begin(), names.end(), name);
  return at != names.end() && *at == name ? static_cast<int>(at - names.begin()) : -1;
}

size_t best_of(std::span<const float> values) { return std::max_element(values.begin(), values.end()) - values.begin(); }

}  // namespace

ClassMetrics class_metrics(std::span<const std::string> right, std::span<const std::string> predicted) {
  struct Count {
    double hits = 0, right = 0, predicted = 0;
  };
  std::map<std::string, Count> counts;
  ClassMetrics m;
  for (size_t i = 0; i < right.size(); ++i) {
    ++counts[right[i]].right;
    ++counts[predicted[i]].predicted;
    if (right[i] == predicted[i]) {
      ++counts[right[i]].hits;
      ++m.accuracy;
    }
  }
  for (const auto& [name, count] : counts) {
    const double f1 = 2 * count.hits / (count.right + count.predicted);
    m.f1_macro += f1 / counts.size();
    m.f1_weighted += f1 * count.right / right.size();
  }
  m.accuracy /= std::max<size_t>(right.size(), 1);
  return m;
}

namespace {

struct CalibrationBin {  // sums
  double confidence = 0, right = 0, cases = 0;
};

std::array<CalibrationBin, 10> fill_bins(std::span<const double> confidence, std::span<const int> right) {
  std::array<CalibrationBin, 10> bins;
  for (size_t i = 0; i < confidence.size(); ++i) {
    CalibrationBin& bin = bins[std::clamp(static_cast<int>(confidence[i] * 10), 0, 9)];
    bin.confidence += confidence[i];
    bin.right += right[i];
    ++bin.cases;
  }
  return bins;
}

}  // namespace

double expected_calibration_error(std::span<const double> confidence, std::span<const int> right) {
  double error = 0;
  for (const CalibrationBin& bin : fill_bins(confidence, right)) error += std::abs(bin.confidence - bin.right);
  return confidence.empty() ? 0 : error / confidence.size();
}

json calibration_bins(std::span<const double> confidence, std::span<const int> right) {
  json list = json::array();
  for (const CalibrationBin& bin : fill_bins(confidence, right))
    if (bin.cases > 0) list.push_back({{"confidence", bin.confidence / bin.cases}, {"right", bin.right / bin.cases}, {"cases", bin.cases}});
  return list;
}

json evaluate_triage(const TriageModel& model, std::span<const Record> records, uint64_t skipped) {
  const auto& engineers = model.engineers();
  const auto& components = model.components();
  const std::vector<int> by_count = model.engineers_by_count();
  std::map<std::string, std::vector<int>> touchers;
  for (size_t i = 0; i < components.size(); ++i) touchers[components[i]] = model.last_touchers(static_cast<int>(i));
  // The most common component: the one with most records in training.
  const std::string common = model.most_common_component();

  Ranks fused, plain, sparse, majority, toucher, toucher_given;
  std::vector<std::string> right, said, said_plain, said_sparse, said_majority;
  std::vector<double> confidence;
  std::vector<int> hit;
  size_t unseen = 0, answered = 0, answered_right = 0;
  constexpr size_t kBatch = 64;
  for (size_t at = 0; at < records.size(); at += kBatch) {
    const auto part = records.subspan(at, std::min(kBatch, records.size() - at));
    const auto scores = model.score(texts_of(part));
    for (size_t i = 0; i < part.size(); ++i) {
      const int owner = index_of(engineers, part[i].engineer);
      unseen += owner < 0;
      fused.add(rank_in(scores[i].engineer, owner));
      plain.add(rank_in(scores[i].engineer_plain, owner));
      sparse.add(rank_in(scores[i].engineer_sparse, owner));
      majority.add(rank_in(by_count, owner));
      const size_t first = best_of(scores[i].engineer);
      confidence.push_back(scores[i].engineer[first]);
      hit.push_back(owner == static_cast<int>(first));
      if (scores[i].engineer[first] >= model.threshold()) {
        ++answered;
        answered_right += hit.back();
      }
      if (components.empty()) continue;
      const std::string& predicted = components[best_of(scores[i].component_sparse)];
      toucher.add(rank_in(touchers[predicted], owner));
      const auto given = touchers.find(part[i].component);
      toucher_given.add(given == touchers.end() ? -1 : rank_in(given->second, owner));
      if (part[i].component.empty()) continue;
      right.push_back(part[i].component);
      said.push_back(components[best_of(scores[i].component)]);
      said_plain.push_back(components[best_of(scores[i].component_plain)]);
      said_sparse.push_back(predicted);
      said_majority.push_back(common);
    }
  }
  const double n = std::max<size_t>(records.size(), 1);
  json result = {{"records", records.size()},
                 {"skipped", skipped},
                 {"unseen", unseen},
                 {"engineer", fused.object()},
                 {"component", component_object(right, said)},
                 {"ece", expected_calibration_error(confidence, hit)},
                 {"calibration", calibration_bins(confidence, hit)},
                 {"abstain", {{"threshold", model.threshold()}, {"coverage", answered / n}, {"accuracy", answered ? double(answered_right) / answered : 0.0}}}};
  result["baselines"]["majority"] = {{"engineer", majority.object()}, {"component", component_object(right, said_majority)}};
  result["baselines"]["last_toucher"] = {{"engineer", toucher.object()}, {"component", component_object(right, said_sparse)}};
  result["baselines"]["last_toucher_component_given"] = {{"engineer", toucher_given.object()}};
  result["baselines"]["sparse"] = {{"engineer", sparse.object()}, {"component", component_object(right, said_sparse)}};
  result["without"]["llama"] = {{"engineer", plain.object()}, {"component", component_object(right, said_plain)}};
  return result;
}

std::string coverage_svg(const TriageModel& model, std::span<const Record> records) {
  std::vector<std::pair<double, int>> answers;
  constexpr size_t kBatch = 64;
  for (size_t at = 0; at < records.size(); at += kBatch) {
    const auto part = records.subspan(at, std::min(kBatch, records.size() - at));
    const auto scores = model.score(texts_of(part));
    for (size_t i = 0; i < part.size(); ++i) {
      const size_t first = best_of(scores[i].engineer);
      answers.emplace_back(scores[i].engineer[first], model.engineers()[first] == part[i].engineer);
    }
  }
  std::sort(answers.rbegin(), answers.rend());
  constexpr double kLeft = 50, kTop = 20, kWide = 400, kHigh = 240;
  std::string points;
  int right = 0;
  const size_t step = std::max<size_t>(answers.size() / 100, 1);
  for (size_t i = 0; i < answers.size(); ++i) {
    right += answers[i].second;
    if ((i + 1) % step == 0) {
      points += fmt::format("{:.1f},{:.1f} ", kLeft + kWide * (i + 1) / answers.size(), kTop + kHigh * (1 - double(right) / (i + 1)));
    }
  }
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 310\" font-family=\"sans-serif\" font-size=\"12\">"
      "<rect width=\"480\" height=\"310\" fill=\"#fff\"/>";
  for (int tick = 0; tick <= 100; tick += 25) {
    const double y = kTop + kHigh * (1 - tick / 100.0), x = kLeft + kWide * tick / 100.0;
    svg += fmt::format("<path d=\"M{} {:.0f}H{}\" stroke=\"#ddd\"/><text x=\"44\" y=\"{:.0f}\" text-anchor=\"end\">{}%</text>", kLeft, y, kLeft + kWide, y + 4, tick);
    svg += fmt::format("<text x=\"{:.0f}\" y=\"276\" text-anchor=\"middle\">{}%</text>", x, tick);
  }
  svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"#1668c7\" stroke-width=\"2\"/>", points);
  svg += "<text x=\"250\" y=\"298\" text-anchor=\"middle\">bugs answered, most confident first</text>"
         "<text x=\"14\" y=\"140\" transform=\"rotate(-90 14 140)\" text-anchor=\"middle\">right engineer first</text></svg>\n";
  return svg;
}

}  // namespace ingot
