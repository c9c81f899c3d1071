#include "foundry/triage/triage_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr size_t kNeighbours = 30;
constexpr uint32_t kTriageFormat = 4;

size_t largest(std::span<const float> values) { return std::max_element(values.begin(), values.end()) - values.begin(); }

}  // namespace

int TriageModel::find(const Head& head, const std::string& name) const {
  auto at = std::lower_bound(head.names.begin(), head.names.end(), name);
  return at != head.names.end() && *at == name ? static_cast<int>(at - head.names.begin()) : -1;
}

// A report's tail is logs and stack traces, which took the trunk three quarters of its time on Mozilla's and Eclipse's bugs and made nothing
// better. Words are taken from the whole text.
constexpr size_t kRead = 1024;  // bytes

std::string TriageModel::beginning(const std::string& text) { return std::string(utf8_prefix(text, kRead)); }

std::vector<float> TriageModel::read(const TextEncoder& encoder, std::span<const std::string> texts) {
  std::vector<std::string> heads;
  for (const std::string& text : texts) heads.push_back(beginning(text));
  return encoder.encode(heads);
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

void TriageModel::forget_encoder() {
  encoder_.reset();
  vector_width_ = 0;
  fingerprint_.clear();
  vector_mean_.clear();
  vector_scale_.clear();
  engineer_.dense = component_.dense = {};
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
  std::vector<float> sparse(n, 0.f), fresh(n, 0.f), centroid(n, 0.f), lately(n, 0.f), dense(n, 0.f), share(n, 0.f), best(n, 0.f), placed(n, 0.f);
  head.sparse.score(found.row, sparse);
  head.fresh.score(found.row, fresh);
  head.centroid.score(found.row, centroid);
  if (!found.dense.ids.empty() && head.dense.classes()) head.dense.score(found.dense, dense);
  const float top = found.hits.empty() ? 1.f : found.hits[0].score;
  float total = 0, late = 0;
  const double half_life = freshness_half_life(past_.size());
  for (const auto& hit : found.hits) {
    const int cls = engineers ? past_[hit.record].engineer : past_[hit.record].component;
    const float vote = hit.score / top * hit.score / top;
    const auto age = static_cast<float>(std::exp2(-double(past_.size() - 1 - hit.record) / half_life));
    total += vote;
    late += vote * age;
    if (cls < 0) continue;
    share[cls] += vote;
    lately[cls] += vote * age;
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
    f[kFresh] = fresh[i];
    f[kCentroid] = std::log(0.02f + std::max(centroid[i], 0.f));
    f[kSimilarShare] = std::log(0.01f + (total > 0 ? share[i] / total : 0.f));
    f[kSimilarBest] = best[i];
    f[kSimilarFresh] = std::log(0.01f + (late > 0 ? lately[i] / late : 0.f));
    f[kRecent] = head.recent[i];
    f[kSeason] = head.season[i];
    f[kCount] = head.count[i];
    f[kByComponent] = engineers && !component_p.empty() ? std::log(0.003f + placed[i]) : 0.f;
    f[kDense] = dense[i];
  }
  return result;
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
  if (vector_width_ && encoder_) vectors = read(*encoder_, texts);
  const size_t width = vectors.empty() ? 0 : vector_width_;
  for (size_t i = 0; i < texts.size(); ++i) results.push_back(score(evidence(words_of(texts[i]), std::span(vectors).subspan(i * width, width))));
  return results;
}

TriageAnswer TriageModel::classify(const std::string& text, size_t most) const {
  TriageAnswer answer;
  std::vector<float> vector;
  if (llama_ && encoder_) vector = read(*encoder_, std::span(&text, 1));
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
  for (size_t i = 0; i < found.hits.size() && answer.similar.size() < 3; ++i) {
    const uint32_t r = found.hits[i].record;
    // A correction was learnt several times; it is one bug all the same.
    if (std::any_of(answer.similar.begin(), answer.similar.end(), [&](const SimilarBug& one) { return one.id == past_ids_[r] && one.text == past_texts_[r]; })) continue;
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

double TriageModel::people_at(const std::string& component) const {
  const int place = find(component_, component);
  if (place < 0) return 0;
  double squares = 0;
  const size_t n = engineer_.names.size();
  for (size_t i = 0; i < n; ++i) squares += double(by_component_[place * n + i]) * by_component_[place * n + i];
  return squares > 0 ? 1 / squares : 0;
}

std::string TriageModel::most_common_component() const {
  return component_.names.empty() ? "" : component_.names[largest(component_.count)];
}

std::string TriageModel::save() const {
  BlobWriter out;
  out.put<uint32_t>(kTriageFormat);
  vocabulary_.save(out);
  for (const Head* head : {&engineer_, &component_}) {
    out.put(head->names);
    head->sparse.save(out);
    head->fresh.save(out);
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
    out.put(std::string_view(gain.of));
    out.put(gain.rank_gain);
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
  if (const auto format = in.get<uint32_t>(); format != kTriageFormat) {
    bad_input(fmt::format("triage.bin has format {}, this ingot reads {}", format, kTriageFormat), "triage.bin", "use the version of ingot that built the file");
  }
  TriageModel model;
  model.vocabulary_ = Vocabulary::load(in);
  const size_t terms = model.vocabulary_.size();
  for (Head* head : {&model.engineer_, &model.component_}) {
    head->names = in.texts();
    const size_t n = head->names.size();
    head->sparse = LinearClassifier::load(in);
    head->fresh = LinearClassifier::load(in);
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
    gain.of = in.text();
    gain.rank_gain = in.get<double>();
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
