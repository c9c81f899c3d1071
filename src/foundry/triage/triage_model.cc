#include "foundry/triage/triage_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/triage/paired_bootstrap.h"

namespace ingot {
namespace {

constexpr size_t kMostWeights = size_t{40} << 20;  // of one linear model, bytes
constexpr size_t kMostTerms = 60000;
constexpr size_t kNeighbours = 30;
constexpr float kCost = 0.5f, kDenseCost = 1.0f;
constexpr double kRecentDays = 30, kSeasonDays = 180;  // half-lives
constexpr size_t kFewest = 50;
constexpr size_t kQuoted = 160;  // bytes of a past bug that are kept to show it
constexpr uint32_t kFormat = 3;

std::string first_words(const std::string& text) {
  std::string line = text.substr(0, kQuoted);
  // Cut at a character, not inside one.
  while (!line.empty() && line.size() == kQuoted && (static_cast<unsigned char>(text[line.size()]) & 0xC0) == 0x80) line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

size_t best_of(std::span<const float> values) { return std::max_element(values.begin(), values.end()) - values.begin(); }

}  // namespace

int TriageModel::find(const Head& head, const std::string& name) const {
  auto at = std::lower_bound(head.names.begin(), head.names.end(), name);
  return at != head.names.end() && *at == name ? static_cast<int>(at - head.names.begin()) : -1;
}

// Hidden states share a large common direction; standardised and of unit length they differ by what the text says.
SparseRow TriageModel::dense_row(std::span<const float> vector) const {
  SparseRow row;
  double square = 0;
  for (uint32_t i = 0; i < vector.size(); ++i) {
    row.ids.push_back(i);
    row.values.push_back((vector[i] - vector_mean_[i]) * vector_scale_[i]);
    square += double(row.values[i]) * row.values[i];
  }
  const auto scale = static_cast<float>(1 / std::sqrt(std::max(square, 1e-20)));
  for (float& value : row.values) value *= scale;
  return row;
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

TriageModel::Evidence TriageModel::evidence(const std::vector<std::string>& words, std::span<const float> vector) const {
  Evidence found;
  found.row = vocabulary_.vectorise(words);
  found.words = vocabulary_.ids(words);
  found.hits = similar_.find(found.words, kNeighbours);
  found.dense = dense_row(vector);
  return found;
}

FusionCase TriageModel::features(const Head& head, const Evidence& found, bool engineers, std::span<const float> component_p) const {
  const size_t n = head.names.size();
  FusionCase result;
  result.features.assign(n * kSignals, 0.f);
  if (n == 0) return result;
  std::vector<float> sparse(n, 0.f), centroid(n, 0.f), dense(n, 0.f), share(n, 0.f), best(n, 0.f), placed(n, 0.f);
  head.sparse.score(found.row, sparse);
  head.centroid.score(found.row, centroid);
  if (!found.dense.ids.empty() && head.dense.classes()) head.dense.score(found.dense, dense);
  const float top = found.hits.empty() ? 1.f : found.hits[0].score;
  float total = 0;
  for (const auto& hit : found.hits) {
    const int cls = engineers ? past_[hit.record].engineer : past_[hit.record].component;
    const float vote = hit.score / top * hit.score / top;
    total += vote;
    if (cls < 0) continue;
    share[cls] += vote;
    best[cls] = std::max(best[cls], hit.score / top);
  }
  if (engineers) {
    for (size_t place = 0; place < component_p.size(); ++place) {
      if (component_p[place] < 1e-3f) continue;
      for (size_t i = 0; i < n; ++i) placed[i] += component_p[place] * by_component_[place * n + i];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    float* f = result.features.data() + i * kSignals;
    f[kSparse] = sparse[i];
    f[kCentroid] = std::log(0.02f + std::max(centroid[i], 0.f));
    f[kSimilarShare] = std::log(0.01f + (total > 0 ? share[i] / total : 0.f));
    f[kSimilarBest] = best[i];
    f[kRecent] = head.recent[i];
    f[kSeason] = head.season[i];
    f[kCount] = head.count[i];
    f[kByComponent] = engineers && !component_p.empty() ? std::log(0.003f + placed[i]) : 0.f;
    f[kDense] = dense[i];
  }
  return result;
}

// Learns the fusion's weights from bugs that came after those the parts have learnt from.
void TriageModel::weigh(std::span<const Record> later, std::span<const std::vector<std::string>> words, std::span<const float> vectors,
                        const TriageOptions& options) {
  std::vector<bool> all(kSignals, true);
  all[kDense] = vector_width_ > 0;
  if (!options.similar) all[kSimilarShare] = all[kSimilarBest] = false;
  if (!options.activity) all[kRecent] = all[kSeason] = all[kCount] = all[kByComponent] = false;
  std::vector<bool> plain = all;
  plain[kDense] = false;

  std::vector<Evidence> found;
  for (size_t i = 0; i < later.size(); ++i) found.push_back(evidence(words[i], vectors.subspan(i * vector_width_, vector_width_)));
  std::vector<FusionCase> places;
  for (size_t i = 0; i < later.size(); ++i) {
    places.push_back(features(component_, found[i], false, {}));
    places.back().right = later[i].component.empty() ? -1 : find(component_, later[i].component);
  }
  component_.weights = fit_fusion(places, kSignals, all);
  component_.plain_weights = fit_fusion(places, kSignals, plain);

  std::vector<FusionCase> owners;
  size_t unseen = 0;
  for (size_t i = 0; i < later.size(); ++i) {
    owners.push_back(features(engineer_, found[i], true, fused(places[i].features, component_.weights)));
    owners.back().right = find(engineer_, later[i].engineer);
    unseen += owners.back().right < 0;
  }
  unseen_ = double(unseen) / later.size();
  engineer_.plain_weights = fit_fusion(owners, kSignals, plain);

  // Two halves, each judged with weights from the other: what does the AI lose without one signal?
  const auto hits_with = [&](const std::vector<bool>& used) {
    std::vector<int> hits(owners.size(), 0);
    for (size_t half = 0; half < 2; ++half) {
      std::vector<FusionCase> other;
      for (size_t i = 1 - half; i < owners.size(); i += 2) other.push_back(owners[i]);
      const auto weights = fit_fusion(other, kSignals, used);
      for (size_t i = half; i < owners.size(); i += 2) {
        hits[i] = owners[i].right >= 0 && static_cast<int>(best_of(fused(owners[i].features, weights))) == owners[i].right;
      }
    }
    return hits;
  };
  gains_.clear();
  if (options.ablation) {
    const auto with = hits_with(all);
    const std::pair<const char*, std::vector<int>> groups[] = {{"sparse words", {kSparse}},
                                                               {"class centroids", {kCentroid}},
                                                               {"similar bugs", {kSimilarShare, kSimilarBest}},
                                                               {"recent activity", {kRecent, kSeason, kCount}},
                                                               {"component's people", {kByComponent}},
                                                               {"llama features", {kDense}}};
    std::vector<bool> kept = all;
    for (const auto& [name, members] : groups) {
      std::vector<bool> used = all;
      bool present = false;
      for (int member : members) {
        present |= all[member];
        used[member] = false;
      }
      if (!present) continue;
      const PairedDifference difference = paired_bootstrap(with, hits_with(used), options.seed);
      SignalGain gain{name, difference.mean, difference.low, difference.high, true};
      gain.kept = gain.gain > 0 || members[0] == kSparse;
      if (!gain.kept) {
        for (int member : members) kept[member] = false;
      }
      gains_.push_back(std::move(gain));
    }
    all = kept;
  }
  engineer_.weights = fit_fusion(owners, kSignals, all);
  llama_ = all[kDense];
  if (!llama_) component_.weights = component_.plain_weights;

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
      const auto part = options.encoder->encode(std::span(texts).subspan(i, count));
      vectors.insert(vectors.end(), part.begin(), part.end());
      progress.advance(count);
      if (interrupted()) throw Error(ErrorKind::interrupted, "interrupted", "", "run the same command again");
    }
    progress.finish();
    model.vector_width_ = options.encoder->width();
    model.fingerprint_ = options.encoder->fingerprint();
  }
  const size_t width = model.vector_width_, held = std::max<size_t>(records.size() / 6, 10), before = records.size() - held;
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

void TriageModel::forget_encoder() {
  encoder_.reset();
  vector_width_ = 0;
  fingerprint_.clear();
  vector_mean_.clear();
  vector_scale_.clear();
  engineer_.dense = component_.dense = {};
}

TriageModel::Scores TriageModel::score(const Evidence& found) const {
  Scores result;
  const FusionCase places = features(component_, found, false, {});
  result.component = fused(places.features, component_.weights);
  result.component_plain = fused(places.features, component_.plain_weights);
  const auto judge = [&](const std::vector<float>& component_p, const std::vector<float>& weights) {
    auto p = fused(features(engineer_, found, true, component_p).features, weights);
    for (float& value : p) value = static_cast<float>(value * (1 - unseen_));
    return p;
  };
  result.engineer = judge(result.component, engineer_.weights);
  result.engineer_plain = judge(result.component_plain, engineer_.plain_weights);
  result.engineer_sparse.assign(engineer_.names.size(), 0.f);
  result.component_sparse.assign(component_.names.size(), 0.f);
  engineer_.sparse.score(found.row, result.engineer_sparse);
  if (!component_.names.empty()) component_.sparse.score(found.row, result.component_sparse);
  return result;
}

std::vector<TriageModel::Scores> TriageModel::score(std::span<const std::string> texts) const {
  std::vector<Scores> results;
  std::vector<float> vectors;
  if (vector_width_ && encoder_) vectors = encoder_->encode(texts);
  const size_t width = vectors.empty() ? 0 : vector_width_;
  for (size_t i = 0; i < texts.size(); ++i) results.push_back(score(evidence(words_of(texts[i]), std::span(vectors).subspan(i * width, width))));
  return results;
}

TriageAnswer TriageModel::classify(const std::string& text, size_t most) const {
  TriageAnswer answer;
  std::vector<float> vector;
  if (llama_ && encoder_) vector = encoder_->encode(std::span(&text, 1));
  const Evidence found = evidence(words_of(text), vector);
  const Scores scores = score(found);
  const auto ranked = [&](const std::vector<float>& p, const std::vector<std::string>& names) {
    std::vector<size_t> order(p.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const size_t keep = std::min(most, order.size());
    std::partial_sort(order.begin(), order.begin() + keep, order.end(), [&](size_t a, size_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
    std::vector<Candidate> list;
    for (size_t i = 0; i < keep; ++i) list.push_back({names[order[i]], p[order[i]]});
    return list;
  };
  answer.engineers = ranked(scores.engineer, engineer_.names);
  answer.components = ranked(scores.component, component_.names);
  answer.abstain = answer.engineers.empty() || answer.engineers[0].p < threshold_;
  const int first = answer.engineers.empty() ? -1 : find(engineer_, answer.engineers[0].name);
  std::vector<std::pair<float, uint32_t>> spoke;
  for (size_t k = 0; first >= 0 && k < found.row.ids.size(); ++k) {
    const float weight = found.row.values[k] * engineer_.sparse.weight(found.row.ids[k], first);
    if (weight > 0) spoke.emplace_back(weight, found.row.ids[k]);
  }
  std::sort(spoke.rbegin(), spoke.rend());
  for (size_t i = 0; i < std::min<size_t>(5, spoke.size()); ++i) answer.words.push_back(vocabulary_.term(spoke[i].second));
  for (size_t i = 0; i < std::min<size_t>(3, found.hits.size()); ++i) {
    const uint32_t r = found.hits[i].record;
    answer.similar.push_back({past_ids_[r], engineer_.names[past_[r].engineer], past_[r].component < 0 ? "" : component_.names[past_[r].component], past_texts_[r]});
  }
  return answer;
}

std::vector<int> TriageModel::engineers_by_count() const {
  std::vector<int> order(engineer_.names.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return engineer_.count[a] > engineer_.count[b]; });
  return order;
}

std::vector<int> TriageModel::last_touchers(int component) const {
  std::vector<int> order;
  std::vector<bool> seen(engineer_.names.size(), false);
  for (size_t i = past_.size(); i-- > 0;) {
    if (past_[i].component != component || seen[past_[i].engineer]) continue;
    seen[past_[i].engineer] = true;
    order.push_back(past_[i].engineer);
  }
  return order;
}

std::string TriageModel::most_common_component() const {
  return component_.names.empty() ? "" : component_.names[best_of(component_.count)];
}

std::string TriageModel::save() const {
  BlobWriter out;
  out.put<uint32_t>(kFormat);
  vocabulary_.save(out);
  for (const Head* head : {&engineer_, &component_}) {
    out.put(head->names);
    head->sparse.save(out);
    head->centroid.save(out);
    head->dense.save(out);
    for (const auto* numbers : {&head->recent, &head->season, &head->count, &head->weights, &head->plain_weights}) out.put(*numbers);
  }
  out.put<uint64_t>(past_.size());
  for (const Past& one : past_) {
    out.put<int32_t>(one.engineer);
    out.put<int32_t>(one.component);
    out.put<int64_t>(one.time);
  }
  out.put(past_ids_);
  out.put(past_texts_);
  similar_.save(out);
  out.put(by_component_);
  out.put<uint32_t>(static_cast<uint32_t>(gains_.size()));
  for (const SignalGain& gain : gains_) {
    out.put(std::string_view(gain.signal));
    out.put(gain.gain);
    out.put(gain.low);
    out.put(gain.high);
    out.put<uint8_t>(gain.kept);
  }
  out.put(threshold_);
  out.put(unseen_);
  out.put<uint8_t>(llama_);
  out.put<uint64_t>(vector_width_);
  out.put(std::string_view(fingerprint_));
  out.put(vector_mean_);
  out.put(vector_scale_);
  return out.take();
}

TriageModel TriageModel::load(std::span<const std::byte> bytes) {
  BlobReader in(bytes, "triage.bin");
  if (const auto format = in.get<uint32_t>(); format != kFormat) {
    bad_input(fmt::format("triage.bin has format {}, this ingot reads {}", format, kFormat), "triage.bin", "use the version of ingot that built the file");
  }
  TriageModel model;
  model.vocabulary_ = Vocabulary::load(in);
  const size_t terms = model.vocabulary_.size();
  for (Head* head : {&model.engineer_, &model.component_}) {
    head->names = in.texts();
    const size_t n = head->names.size();
    head->sparse = LinearClassifier::load(in);
    head->centroid = LinearClassifier::load(in);
    head->dense = LinearClassifier::load(in);
    for (auto* numbers : {&head->recent, &head->season, &head->count, &head->weights, &head->plain_weights}) *numbers = in.vector<float>();
    in.require(std::is_sorted(head->names.begin(), head->names.end()));
    in.require(size_t(head->sparse.classes()) == n && head->sparse.features() == (n ? terms : 0) && (head->dense.classes() == 0 || size_t(head->dense.classes()) == n));
    in.require(size_t(head->centroid.classes()) == n && head->centroid.features() == (n ? terms : 0));
    in.require(head->recent.size() == n && head->season.size() == n && head->count.size() == n);
    in.require(head->weights.size() == kSignals && head->plain_weights.size() == kSignals);
  }
  const int e = static_cast<int>(model.engineer_.names.size()), c = static_cast<int>(model.component_.names.size());
  const auto count = in.get<uint64_t>();
  in.require(count < bytes.size());
  for (uint64_t i = 0; i < count; ++i) {
    Past one{in.get<int32_t>(), in.get<int32_t>(), in.get<int64_t>()};
    in.require(one.engineer >= 0 && one.engineer < e && one.component >= -1 && one.component < c);
    model.past_.push_back(one);
  }
  model.past_ids_ = in.texts();
  model.past_texts_ = in.texts();
  in.require(model.past_ids_.size() == count && model.past_texts_.size() == count);
  model.similar_ = SimilarRecords::load(in, count, terms);
  model.by_component_ = in.vector<float>();
  in.require(model.by_component_.size() == size_t(e) * c);
  for (uint32_t i = in.get<uint32_t>(); i > 0; --i) {
    SignalGain gain;
    gain.signal = in.text();
    gain.gain = in.get<double>();
    gain.low = in.get<double>();
    gain.high = in.get<double>();
    gain.kept = in.get<uint8_t>();
    model.gains_.push_back(std::move(gain));
  }
  model.threshold_ = in.get<double>();
  model.unseen_ = in.get<double>();
  model.llama_ = in.get<uint8_t>();
  model.vector_width_ = in.get<uint64_t>();
  model.fingerprint_ = in.text();
  model.vector_mean_ = in.vector<float>();
  model.vector_scale_ = in.vector<float>();
  in.require(model.vector_mean_.size() == model.vector_width_ && model.vector_scale_.size() == model.vector_width_);
  for (const Head* head : {&model.engineer_, &model.component_}) {
    in.require(head->dense.classes() == 0 || head->dense.features() == model.vector_width_);
  }
  in.require(in.done());
  return model;
}

}  // namespace ingot
