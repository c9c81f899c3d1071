#include "foundry/fly/turn.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/progress.h"
#include "foundry/fly/fly_kind.h"
#include "foundry/fly/turn_report.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr int kWeight = 3;                // copies of a direct correction: it is certain, a row of a database is what was once written there
constexpr size_t kEmphasised = 100;       // of the newest direct corrections; of many, each counts once

// A correction as a record. One whose event has no time counts as of the newest record: a clock in the future would make everyone
// else seem long gone.
Record as_record(const FlyKind& kind, const Correction& c, int64_t newest) {
  Record record = kind.record_of(c.text, c.name, c.component);
  record.id = c.receipt;
  record.time = c.time > 0 ? std::min(c.time, c.arrived) : newest;
  return record;
}

// Old and new together, oldest first; where a record has a correction's text, the correction has the last word.
std::vector<Record> old_and_new(const std::vector<Record>& old, const std::vector<Record>& corrections, const std::vector<int>& copies) {
  std::unordered_set<std::string> corrected;
  for (const Record& record : corrections) corrected.insert(record.text);
  std::vector<Record> all;
  for (const Record& record : old)
    if (!corrected.contains(record.text)) all.push_back(record);
  for (size_t i = 0; i < corrections.size(); ++i) all.insert(all.end(), static_cast<size_t>(copies[i]), corrections[i]);
  std::stable_sort(all.begin(), all.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  return all;
}

double first_right(const FlyKind& kind, const FlyModel& model, const std::vector<Record>& records) {
  size_t right = 0;
  for (const Record& record : records) {
    const RankedNames ranked = model.rank(record.text);
    right += !ranked.names.empty() && ranked.names[0] == kind.name_of(record);
  }
  return records.empty() ? 0 : static_cast<double>(right) / static_cast<double>(records.size());
}

}  // namespace

json turn(const Ai& champion, TurnInput& input, const std::filesystem::path& out) {
  if (champion.kind() == "chat") return turn_chat(champion, input, out);
  TurnReport made(champion);
  json& report = made.body;
  const auto kind = FlyKind::of(champion);
  const Recipe::Fly& rules = kind->recipe().fly;
  const auto reigning = kind->champion();
  const std::vector<Record>& test = kind->test();

  // The first ones of those that it tells apart: a tenth, ten at most.
  const auto first = static_cast<long>(std::clamp<size_t>(reigning->names() / 10, 1, 10));
  const auto opinion_of = [&](const std::string& text, const std::string& name) {
    const RankedNames ranked = reigning->rank(text);
    Opinion opinion;
    opinion.known = reigning->knows(name);
    const auto at = std::find(ranked.names.begin(), ranked.names.end(), name);
    opinion.expected = at != ranked.names.end() && at - ranked.names.begin() < first;
    opinion.first = at != ranked.names.end() && at == ranked.names.begin();
    opinion.confidence = ranked.confidence;
    return opinion;
  };
  CurateOptions options = input.curate;
  if (kind->recipe().kind != "triage") options.fewest_words = 1, options.fewest_bytes = 3;
  std::vector<std::string> to_read;
  for (const Record& record : test) to_read.push_back(record.text);
  for (const Correction& c : input.corrections) to_read.push_back(c.text);
  reigning->read(to_read);
  Sureness reference;
  for (const Record& record : test) reference.add(opinion_of(record.text, kind->name_of(record)), options.sure);
  Curator curator(options, reference);
  for (const Record& record : test) curator.keep_out(record.text);
  for (const FixedCase& one : input.cases) curator.keep_out(one.text);

  // One spelling of a person for all, before names are compared.
  std::vector<Record> spelled;
  for (const Correction& c : input.corrections) spelled.push_back(kind->record_of(c.text, c.name, c.component));
  kind->settle_names(spelled);
  for (size_t i = 0; i < spelled.size(); ++i) input.corrections[i].name = kind->name_of(spelled[i]);

  const Curated curated = curator.curate(input.corrections, [&](const Correction& c) {
    Opinion opinion = opinion_of(c.text, c.name);
    opinion.stopped = champion.rails().any(RailStage::input) && !champion.rails().check(c.text).allowed;
    return opinion;
  });
  made.curated(curated, input.corrections);
  if (curated.kept.empty() && !input.rebuild) return made.close("nothing is promoted: there is no correction to learn from");
  if (!input.rebuild && input.corrections[curated.kept.back()].id <= input.champion_seen)
    return made.close("nothing is promoted: there is no correction that the champion has not seen");

  const int64_t newest = kind->train().empty() ? 0 : kind->train().back().time;
  std::vector<Record> records;
  std::vector<int> copies;
  size_t unseen = 0, direct = 0;
  for (size_t i : curated.kept) {
    const Correction& c = input.corrections[i];
    records.push_back(as_record(*kind, c, newest));
    unseen += c.id > input.champion_seen;
    input.learnt.push_back(c.id);
  }
  copies.assign(records.size(), 1);
  for (size_t i = records.size(); i-- > 0 && direct < kEmphasised;) {
    if (!input.corrections[curated.kept[i]].direct) continue;
    copies[i] = kWeight;
    ++direct;
  }
  // The holdout renews itself: the newest third of what the champion has not seen judges first and is learnt from after.
  const size_t latest = latest_of(unseen);
  const std::vector<Record> window(records.end() - static_cast<long>(latest), records.end());
  if (test.size() + latest < static_cast<size_t>(rules.fewest)) {
    return made.close(fmt::format("nothing is promoted: {} held-out records and {} latest corrections are too few to judge by, at least {} are needed", test.size(), latest, rules.fewest));
  }

  Judge judge(rules.may_lose, static_cast<uint64_t>(kind->recipe().train.seed));
  std::unique_ptr<const FlyModel> trial, stand_in, final_model;
  double may_forget = 0;
  stop_if_interrupted("fly run");
  if (latest || kind->champion_saw_test()) {
    // Judged on what neither has seen; where the champion has seen the held-out part, one trained without it stands in.
    const std::vector<Record> before(records.begin(), records.end() - static_cast<long>(latest));
    trial = kind->learn(old_and_new(kind->train(), before, std::vector<int>(copies.begin(), copies.end() - static_cast<long>(latest))));
    if (kind->champion_saw_test()) {
      const std::vector<Record> seen(records.begin(), records.end() - static_cast<long>(unseen));
      stand_in = kind->learn(old_and_new(kind->train(), seen, std::vector<int>(seen.size(), 1)));
    }
    const FlyModel& against = stand_in ? *stand_in : *reigning;
    compare_ranking(judge, *kind, "latest corrections", window, against, *trial);
    // Enough of them, and none lost: they are the holdout now, and the older one guards against forgetting alone.
    if (latest >= static_cast<size_t>(rules.fewest) && judge.losses().empty()) may_forget = rules.may_forget;
    if (kind->champion_saw_test()) compare_ranking(judge, *kind, "held-out", test, against, *trial, may_forget);
  }
  stop_if_interrupted("fly run");
  std::vector<Record> known = kind->train();
  if (kind->champion_saw_test()) known.insert(known.end(), test.begin(), test.end());
  final_model = kind->learn(old_and_new(known, records, copies));
  if (!kind->champion_saw_test()) compare_ranking(judge, *kind, "held-out", test, *reigning, *final_model, may_forget);
  compare_fixed(judge, input.cases, *reigning, *final_model);
  compare_speed(judge, test, *reigning, *final_model);
  const double told_before = first_right(*kind, *reigning, records), told_after = first_right(*kind, *final_model, records);

  bool won = told_after > told_before;
  const Comparison* window_result = nullptr;
  const Comparison* held_out = nullptr;
  for (const Comparison& one : judge.comparisons()) {
    if (one.measure != "first name") continue;
    (one.set == "held-out" ? held_out : window_result) = &one;
    if (one.set == "held-out" && one.low > 0) won = true;
  }
  if (window_result) won = window_result->mean >= rules.must_gain;
  won = won || input.rebuild;
  report["champion"].update({{"corrections_right", told_before}, {"top1", held_out ? held_out->champion : 0.0}});
  report["challenger"] = {{"corrections_right", told_after}};
  if (held_out) report["challenger"].update({{"top1", held_out->challenger}, {"gain", held_out->mean}, {"low", held_out->low}, {"high", held_out->high}});
  report["held_out"] = test.size();
  report["latest"] = latest;
  report["judge"] = judge.report();

  std::string figures = held_out ? fmt::format("on {} held-out records {:+.2f} points (95 %: {:+.2f} to {:+.2f})", held_out->records, 100 * held_out->mean, 100 * held_out->low, 100 * held_out->high) : "";
  if (window_result)
    figures += fmt::format("{}on the {} latest corrections {:+.2f} ({:+.2f} to {:+.2f})", figures.empty() ? "" : ", ", window_result->records, 100 * window_result->mean, 100 * window_result->low, 100 * window_result->high);
  figures += fmt::format("{}of {} corrections {:.0f} % right instead of {:.0f} %", figures.empty() ? "" : ", ", records.size(), 100 * told_after, 100 * told_before);
  const auto refused = [&] {
    std::string lost;
    for (const std::string& one : judge.losses()) lost += (lost.empty() ? "; it loses on " : "; on ") + one;
    if (!won) lost += window_result ? "; it does not win on what came last" : "; what people corrected is no more often right";
    report["judge"] = judge.report();
    return made.close("refused: " + figures + lost);
  };
  if (!won || !judge.losses().empty()) return refused();
  kind->pack(*final_model, made.packed("promoted: " + figures), out);
  judge.size(std::filesystem::file_size(champion.archive().path()) - champion.archive().prefix().size(), std::filesystem::file_size(out));
  if (!judge.losses().empty()) {
    std::filesystem::remove(out);
    return refused();
  }
  report["judge"] = judge.report();
  report["promoted"] = true;
  return made.close("promoted: " + figures);
}

}  // namespace ingot
