// How the parts of a triage AI learn, and how much each is trusted.
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/triage/paired_bootstrap.h"
#include "foundry/triage/triage_model.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr size_t kMostWeights = size_t{80} << 20;  // of one linear model, bytes
constexpr size_t kMostTerms = 120000;
constexpr float kCost = 2.0f, kFreshCost = 2.0f, kDenseCost = 1.0f;
constexpr double kRecentDays = 30, kSeasonDays = 180;  // half-lives
constexpr size_t kFewest = 50;
// How far the signals' weights are drawn towards those of the words alone. On folds of 1,300 to 3,700 bugs a half gained a point at the first
// name and 0.4 to 0.6 were alike; on 7,500 and more it lost as much among five: so less the more there is to learn from.
constexpr double kDrawn = 0.5, kDrawnUpTo = 4000;
float drawn(size_t records) { return static_cast<float>(kDrawn * std::min(1.0, kDrawnUpTo / static_cast<double>(records))); }
constexpr size_t kEnoughHeld = 1200;
constexpr size_t kMostFeatures = size_t{40} << 20;   // numbers held at a time while weighing
constexpr size_t kQuoted = 160;  // bytes of a past bug that are kept to show it

std::string first_words(const std::string& text) {
  std::string line(utf8_prefix(text, kQuoted));
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

// What a ranking earns on each case: 1 for the right one first, and one over its place.
struct Earned {
  std::vector<double> hits, reciprocal;
  double mean() const { return std::accumulate(reciprocal.begin(), reciprocal.end(), 0.0) / static_cast<double>(std::max<size_t>(reciprocal.size(), 1)); }
};

// The signals' weights, drawn towards those of the words alone: what a few hundred held-out bugs say of the other signals holds less
// later, and the words have learnt from everything since. Then as sharp as the held-out bugs bear out.
std::vector<float> drawn_weights(std::span<const FusionCase> cases, size_t signals, size_t words, const std::vector<bool>& used, float share) {
  std::vector<bool> alone(signals, false);
  alone[words] = true;
  std::vector<float> weights = fit_fusion(cases, signals, used);
  const std::vector<float> sparse = fit_fusion(cases, signals, alone);
  for (size_t s = 0; s < signals; ++s) weights[s] += share * (sparse[s] - weights[s]);
  std::vector<FusionCase> scores;
  for (const FusionCase& one : cases) {
    FusionCase& score = scores.emplace_back(FusionCase{{}, one.right});
    for (size_t at = 0; at < one.features.size(); at += signals) score.features.push_back(std::inner_product(weights.begin(), weights.end(), one.features.begin() + static_cast<std::ptrdiff_t>(at), 0.0f));
  }
  const float sharpness = fit_fusion(scores, 1, {true})[0];
  for (float& w : weights) w *= sharpness;
  return weights;
}

// Two halves, each judged with weights from the other.
Earned earned_with(std::span<const FusionCase> cases, size_t signals, const std::vector<bool>& used) {
  Earned earned;
  earned.hits.assign(cases.size(), 0);
  earned.reciprocal.assign(cases.size(), 0);
  for (size_t half = 0; half < 2; ++half) {
    std::vector<FusionCase> other;
    for (size_t i = 1 - half; i < cases.size(); i += 2) other.push_back(cases[i]);
    const auto weights = fit_fusion(other, signals, used);
    for (size_t i = half; i < cases.size(); i += 2) {
      if (cases[i].right < 0) continue;
      const auto p = fused(cases[i].features, weights);
      const float right = p[cases[i].right];
      const auto above = std::count_if(p.begin(), p.end(), [&](float value) { return value > right; });
      const auto equal = std::count(p.begin(), p.end(), right);  // ties: the middle of the places they share
      earned.hits[i] = above == 0 && equal == 1;
      earned.reciprocal[i] = 2.0 / static_cast<double>(2 * above + equal + 1);
    }
  }
  return earned;
}

}  // namespace

// A third of little data, else a sixth, so that what is judged is near the present.
size_t TriageModel::weighed_on(size_t records) { return std::max<size_t>(std::min(records / 3, std::max(records / 6, kEnoughHeld)), 10); }

size_t TriageModel::learnt_from(std::span<const Record> records) const {
  std::set<std::pair<std::string, std::string>> past;
  for (size_t i = 0; i < past_ids_.size(); ++i) past.emplace(past_ids_[i], past_texts_[i]);
  return static_cast<size_t>(std::count_if(records.begin(), records.end(), [&](const Record& record) { return past.contains({record.id, first_words(record.text)}); }));
}

void TriageModel::learn(std::span<const Record> records, std::span<const std::vector<std::string>> words, std::span<const float> vectors,
                        const TriageOptions& options) {
  std::set<std::string> engineers, components;
  for (const Record& record : records) {
    engineers.insert(record.engineer);
    if (!record.component.empty()) components.insert(record.component);
  }
  engineer_ = {};
  component_ = {};
  engineer_.names.assign(engineers.begin(), engineers.end());
  component_.names.assign(components.begin(), components.end());
  const size_t classes = std::max(engineers.size(), components.size());
  vocabulary_ = Vocabulary::build(words, std::min(kMostTerms, kMostWeights / classes));

  vector_mean_.assign(vector_width_, 0.f);
  vector_scale_.assign(vector_width_, 0.f);
  const size_t n = records.size();
  for (size_t j = 0; j < vector_width_; ++j) {
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; ++i) {
      const double value = vectors[i * vector_width_ + j];
      sum += value;
      square += value * value;
    }
    const double mean = sum / double(n);
    vector_mean_[j] = static_cast<float>(mean);
    vector_scale_[j] = static_cast<float>(1 / std::sqrt(std::max(square / double(n) - mean * mean, 1e-12)));
  }

  past_.clear();
  past_ids_.clear();
  past_texts_.clear();
  std::vector<SparseRow> rows, dense;
  std::vector<std::vector<uint32_t>> ids;
  std::vector<int> owners, places;
  std::vector<SparseRow> place_rows, place_dense;
  for (size_t i = 0; i < records.size(); ++i) {
    past_.push_back({find(engineer_, records[i].engineer), records[i].component.empty() ? -1 : find(component_, records[i].component), records[i].time});
    past_ids_.push_back(records[i].id);
    past_texts_.push_back(first_words(records[i].text));
    rows.push_back(vocabulary_.vectorise(words[i]));
    ids.push_back(vocabulary_.ids(words[i]));
    owners.push_back(past_.back().engineer);
    if (vector_width_) dense.push_back(dense_row(vectors.subspan(i * vector_width_, vector_width_)));
    if (past_.back().component >= 0) {
      places.push_back(past_.back().component);
      place_rows.push_back(rows.back());
      if (vector_width_) place_dense.push_back(dense.back());
    }
  }
  similar_ = SimilarRecords::build(std::move(ids), vocabulary_.size());
  const int e = static_cast<int>(engineer_.names.size()), c = static_cast<int>(component_.names.size());
  std::vector<float> importance, place_importance;
  for (size_t i = 0; i < records.size(); ++i) {
    importance.push_back(static_cast<float>(std::exp2(-double(records.size() - 1 - i) / freshness_half_life(records.size()))));
    if (past_[i].component >= 0) place_importance.push_back(importance.back());
  }
  engineer_.fresh = LinearClassifier::train(rows, owners, e, vocabulary_.size(), kFreshCost, options.seed, importance);
  if (c) component_.fresh = LinearClassifier::train(place_rows, places, c, vocabulary_.size(), kFreshCost, options.seed, place_importance);
  engineer_.sparse = LinearClassifier::train(rows, owners, e, vocabulary_.size(), kCost, options.seed);
  engineer_.centroid = LinearClassifier::centroids(rows, owners, e, vocabulary_.size());
  if (c) component_.centroid = LinearClassifier::centroids(place_rows, places, c, vocabulary_.size());
  if (c) component_.sparse = LinearClassifier::train(place_rows, places, c, vocabulary_.size(), kCost, options.seed);
  if (vector_width_) {
    engineer_.dense = LinearClassifier::train(dense, owners, e, vector_width_, kDenseCost, options.seed);
    if (c) component_.dense = LinearClassifier::train(place_dense, places, c, vector_width_, kDenseCost, options.seed);
  }

  int64_t now = 0;
  for (const Past& one : past_) now = std::max(now, one.time);
  const auto decayed = [&](const Past& one, double days) { return one.time && now ? std::exp2(-double(now - one.time) / (86400 * days)) : 1.0; };
  for (Head* head : {&engineer_, &component_}) {
    head->recent.assign(head->names.size(), 0);
    head->season = head->count = head->recent;
  }
  by_component_.assign(size_t(c) * e, 0.f);
  std::vector<float> totals(c, 0.f);
  for (const Past& one : past_) {
    const auto recent = static_cast<float>(decayed(one, kRecentDays)), season = static_cast<float>(decayed(one, kSeasonDays));
    engineer_.recent[one.engineer] += recent;
    engineer_.season[one.engineer] += season;
    ++engineer_.count[one.engineer];
    if (one.component < 0) continue;
    component_.recent[one.component] += recent;
    component_.season[one.component] += season;
    ++component_.count[one.component];
    by_component_[size_t(one.component) * e + one.engineer] += season;
    totals[one.component] += season;
  }
  for (int i = 0; i < c; ++i) {
    for (int j = 0; j < e && totals[i] > 0; ++j) by_component_[size_t(i) * e + j] /= totals[i];
  }
  for (Head* head : {&engineer_, &component_}) {
    for (auto* numbers : {&head->recent, &head->season, &head->count}) {
      for (float& value : *numbers) value = std::log(value + 0.01f);
    }
  }
}

// Backward elimination: while there is a signal without which the held-out ranking is no worse, the least useful goes. In the
// end the whole must rank better than the sparse words alone, or they stand alone.
std::vector<bool> TriageModel::choose(std::span<const FusionCase> cases, std::vector<bool> used, const char* of, uint64_t seed) {
  struct Group {
    const char* name;
    std::vector<int> members;
    bool in = true;
  };
  std::vector<Group> groups = {{"sparse words", {kSparse}},
                               {"lately used words", {kFresh}},
                               {"class centroids", {kCentroid}},
                               {"similar bugs", {kSimilarShare, kSimilarBest, kSimilarFresh}},
                               {"recent activity", {kRecent, kSeason, kCount}},
                               {"component's people", {kByComponent}},
                               {"llama features", {kDense}}};
  std::erase_if(groups, [&](const Group& group) { return !used[group.members[0]]; });
  const auto leave = [](std::vector<bool> from, const Group& group) {
    for (int member : group.members) from[member] = false;
    return from;
  };
  const auto report = [&](const std::string& name, const Earned& with, const Earned& without, bool kept) {
    const PairedDifference top1 = paired_bootstrap(with.hits, without.hits, seed);
    gains_.push_back({name, of, top1.mean, top1.low, top1.high, with.mean() - without.mean(), kept});
  };
  Earned whole = earned_with(cases, kSignals, used);
  std::vector<Earned> without(groups.size());
  for (;;) {
    size_t worst = groups.size();
    for (size_t g = 0; g < groups.size(); ++g) {
      if (!groups[g].in) continue;
      without[g] = earned_with(cases, kSignals, leave(used, groups[g]));
      if (groups[g].members[0] != kSparse && (worst == groups.size() || without[g].mean() > without[worst].mean())) worst = g;
    }
    if (worst == groups.size() || without[worst].mean() < whole.mean()) break;
    report(groups[worst].name, whole, without[worst], false);
    used = leave(used, groups[worst]);
    groups[worst].in = false;
    whole = without[worst];
  }
  std::vector<bool> sparse(kSignals, false);
  sparse[kSparse] = true;
  const Earned alone = earned_with(cases, kSignals, sparse);
  const bool better = used == sparse || whole.mean() > alone.mean();
  for (size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].in) report(groups[g].name, whole, without[g], better || groups[g].members[0] == kSparse);
  }
  if (used != sparse) report("all of them over sparse words alone", whole, alone, better);
  return better ? used : sparse;
}

// Learns the fusion's weights from bugs that came after those the parts have learnt from.
void TriageModel::weigh(std::span<const Record> later, std::span<const std::vector<std::string>> words, std::span<const float> vectors,
                        const TriageOptions& options) {
  std::vector<bool> all(kSignals, true);
  all[kDense] = vector_width_ > 0;
  if (!options.similar) all[kSimilarShare] = all[kSimilarBest] = all[kSimilarFresh] = false;
  if (!options.activity) all[kFresh] = all[kSimilarFresh] = all[kRecent] = all[kSeason] = all[kCount] = all[kByComponent] = false;
  const auto without_llama = [](std::vector<bool> used) {
    used[kDense] = false;
    return used;
  };
  const size_t each = std::max<size_t>(std::max(engineer_.names.size(), component_.names.size()) * kSignals, 1);
  const size_t stride = (later.size() * each + kMostFeatures - 1) / kMostFeatures;
  std::vector<Evidence> found;
  std::vector<FusionCase> places, owners;
  for (size_t i = 0; i < later.size(); i += stride) {
    found.push_back(evidence(words[i], vectors.subspan(i * vector_width_, vector_width_)));
    places.push_back(features(component_, found.back(), false, {}));
    places.back().right = later[i].component.empty() ? -1 : find(component_, later[i].component);
  }
  std::vector<bool> used = all;
  used[kByComponent] = false;
  gains_.clear();
  if (options.ablation && !component_.names.empty()) used = choose(places, used, "component", options.seed);
  const float share = drawn(past_.size() + later.size());
  component_.weights = drawn_weights(places, kSignals, kSparse, used, share);
  component_.plain_weights = used[kDense] ? drawn_weights(places, kSignals, kSparse, without_llama(used), share) : component_.weights;
  llama_ = used[kDense] && !component_.names.empty();

  size_t unseen = 0;
  for (size_t i = 0, c = 0; i < later.size(); i += stride, ++c) {
    owners.push_back(features(engineer_, found[c], true, fused(places[c].features, component_.weights)));
    owners.back().right = find(engineer_, later[i].engineer);
    unseen += owners.back().right < 0;
    places[c].features = {};  // no longer needed
  }
  unseen_ = double(unseen) / static_cast<double>(owners.size());
  used = all;
  used[kByComponent] = used[kByComponent] && !component_.names.empty();
  if (options.ablation) used = choose(owners, used, "engineer", options.seed);
  engineer_.weights = drawn_weights(owners, kSignals, kSparse, used, share);
  engineer_.plain_weights = used[kDense] ? drawn_weights(owners, kSignals, kSparse, without_llama(used), share) : engineer_.weights;
  llama_ |= used[kDense];
}

TriageModel TriageModel::train(std::span<const Record> records, const TriageOptions& options) {
  if (records.size() < kFewest) {
    bad_input(fmt::format("{} usable records are too few to learn from", records.size()), "", fmt::format("give at least {} records that name an engineer", kFewest));
  }
  TriageModel model;
  std::vector<std::vector<std::string>> words;
  std::vector<std::string> texts;
  std::set<std::string> people;
  for (const Record& record : records) {
    words.push_back(words_of(record.text));
    texts.push_back(record.text);
    people.insert(record.engineer);
  }
  if (people.size() < 2) bad_input("every record names the same engineer", *people.begin(), "give records of at least two engineers");
  std::vector<float> vectors;
  if (options.encoder) {
    Progress progress("read with the Llama", texts.size());
    constexpr size_t kBatch = 64;
    for (size_t i = 0; i < texts.size(); i += kBatch) {
      const size_t count = std::min(kBatch, texts.size() - i);
      const auto part = read(*options.encoder, std::span(texts).subspan(i, count));
      vectors.insert(vectors.end(), part.begin(), part.end());
      progress.advance(count);
      if (interrupted()) throw Error(ErrorKind::interrupted, "interrupted", "", "run the same command again");
    }
    progress.finish();
    model.vector_width_ = options.encoder->width();
    model.fingerprint_ = options.encoder->fingerprint();
  }
  const size_t width = model.vector_width_, held = weighed_on(records.size()), before = records.size() - held;
  const std::span<const std::vector<std::string>> all_words = words;
  const std::span<const float> all_vectors = vectors;
  {
    Progress progress("weigh the signals", 0);
    model.learn(records.first(before), all_words.first(before), all_vectors.first(before * width), options);
    model.weigh(records.last(held), all_words.last(held), all_vectors.last(held * width), options);
  }
  const std::array<std::vector<float>, 4> weights = {model.engineer_.weights, model.engineer_.plain_weights, model.component_.weights,
                                                     model.component_.plain_weights};
  Progress progress("learn from everything", 0);
  model.learn(records, words, vectors, options);
  model.engineer_.weights = weights[0];
  model.engineer_.plain_weights = weights[1];
  model.component_.weights = weights[2];
  model.component_.plain_weights = weights[3];
  model.encoder_ = options.encoder;
  if (!model.llama_) model.forget_encoder();  // what adds nothing is not packed
  return model;
}

}  // namespace ingot
