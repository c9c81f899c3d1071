#include "foundry/classify/text_classifier.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "foundry/triage/fusion.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr uint32_t kFormat = 1;
constexpr int kFolds = 4;
constexpr float kSparseCost = 2, kDenseCost = 4;

SparseRow dense_row(std::span<const float> vector) {
  SparseRow row;
  for (uint32_t i = 0; i < vector.size(); ++i) {
    if (vector[i] == 0) continue;
    row.ids.push_back(i);
    row.values.push_back(vector[i]);
  }
  return row;
}

}  // namespace

SparseRow TextClassifier::known(const HashedRow& row) const {
  SparseRow result;
  auto at = places_.begin();
  for (size_t i = 0; i < row.ids.size(); ++i) {
    at = std::lower_bound(at, places_.end(), row.ids[i]);
    if (at == places_.end()) break;
    if (*at != row.ids[i]) continue;
    result.ids.push_back(static_cast<uint32_t>(at - places_.begin()));
    result.values.push_back(row.values[i]);
  }
  return result;
}

void TextClassifier::learn(std::span<const HashedRow> rows, std::span<const float> vectors, std::span<const int> labels, std::span<const uint32_t> chosen, uint64_t seed) {
  const int classes = static_cast<int>(names_.size());
  places_.clear();
  for (uint32_t i : chosen) places_.insert(places_.end(), rows[i].ids.begin(), rows[i].ids.end());
  std::sort(places_.begin(), places_.end());
  places_.erase(std::unique(places_.begin(), places_.end()), places_.end());
  std::vector<SparseRow> sparse, dense;
  std::vector<int> right;
  for (uint32_t i : chosen) {
    sparse.push_back(known(rows[i]));
    if (width_) dense.push_back(dense_row(vectors.subspan(i * width_, width_)));
    right.push_back(labels[i]);
  }
  sparse_ = LinearClassifier::train(sparse, right, classes, places_.size(), kSparseCost, seed);
  if (!width_) return;
  dense_ = LinearClassifier::train(dense, right, classes, width_, kDenseCost, seed);
  centre_ = LinearClassifier::centroids(dense, right, classes, width_);
}

std::vector<float> TextClassifier::features(const HashedRow& row, std::span<const float> vector) const {
  const size_t classes = names_.size();
  std::vector<float> result(classes * kSignals), margins(classes, 0.f);
  sparse_.score(known(row), margins);
  for (size_t c = 0; c < classes; ++c) result[c * kSignals] = margins[c];
  if (!width_) return result;
  const SparseRow dense = dense_row(vector);
  const LinearClassifier* parts[] = {&dense_, &centre_};
  for (size_t part = 0; part < 2; ++part) {
    std::fill(margins.begin(), margins.end(), 0.f);
    parts[part]->score(dense, margins);
    for (size_t c = 0; c < classes; ++c) result[c * kSignals + 1 + part] = margins[c] * (part == 1 ? 4 : 1);
  }
  return result;
}

TextClassifier TextClassifier::train(std::span<const std::string> texts, std::span<const std::string> labels, std::shared_ptr<const TextEncoder> encoder, uint64_t seed) {
  TextClassifier model;
  model.names_.assign(labels.begin(), labels.end());
  std::sort(model.names_.begin(), model.names_.end());
  model.names_.erase(std::unique(model.names_.begin(), model.names_.end()), model.names_.end());
  if (texts.empty()) bad_input("there is no text to learn from", "", "give records with a text and a label");
  model.encoder_ = std::move(encoder);
  std::vector<float> vectors;
  if (model.encoder_) {
    model.width_ = static_cast<size_t>(model.encoder_->width());
    model.fingerprint_ = model.encoder_->fingerprint();
    vectors = model.encoder_->encode(texts);
  }
  model.weights_.assign(kSignals, 1.f);
  std::vector<HashedRow> rows;
  std::vector<int> right;
  for (size_t i = 0; i < texts.size(); ++i) {
    rows.push_back(hashed_features(normalise_text(texts[i])));
    right.push_back(static_cast<int>(std::lower_bound(model.names_.begin(), model.names_.end(), labels[i]) - model.names_.begin()));
  }
  std::vector<uint32_t> order(texts.size());
  std::iota(order.begin(), order.end(), 0u);
  if (model.names_.size() > 1 && texts.size() >= 2 * kFolds) {
    Random random(seed);
    random.shuffle(order);
    // Spread every label over the folds, so that each fold has seen it.
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return right[a] < right[b]; });
    std::vector<FusionCase> cases;
    for (size_t fold = 0; fold < kFolds; ++fold) {
      std::vector<uint32_t> seen, asked;
      for (size_t i = 0; i < order.size(); ++i) (i % kFolds == fold ? asked : seen).push_back(order[i]);
      model.learn(rows, vectors, right, seen, seed);
      for (uint32_t i : asked) cases.push_back({model.features(rows[i], std::span<const float>(vectors).subspan(i * model.width_, model.width_)), right[i]});
    }
    model.weights_ = fit_fusion(cases, kSignals, std::vector<bool>{true, model.width_ > 0, model.width_ > 0});
  }
  std::sort(order.begin(), order.end());
  model.learn(rows, vectors, right, order, seed);
  return model;
}

std::vector<LabelChance> TextClassifier::classify(const std::string& text) const {
  const HashedRow row = hashed_features(normalise_text(text));
  const std::vector<float> vector = encoder_ ? encoder_->encode({&text, 1}) : std::vector<float>();
  const std::vector<float> p = fused(features(row, vector), weights_);
  std::vector<LabelChance> result;
  for (size_t c = 0; c < names_.size(); ++c) result.push_back({names_[c], p[c]});
  std::stable_sort(result.begin(), result.end(), [](const LabelChance& a, const LabelChance& b) { return a.p > b.p; });
  return result;
}

std::string TextClassifier::save() const {
  BlobWriter out;
  out.put(kFormat);
  out.put(names_);
  out.put(places_);
  out.put<uint64_t>(width_);
  out.put(std::string_view(fingerprint_));
  out.put(weights_);
  sparse_.save(out);
  if (width_) {
    dense_.save(out);
    centre_.save(out);
  }
  return out.take();
}

TextClassifier TextClassifier::load(std::span<const std::byte> bytes, std::shared_ptr<const TextEncoder> encoder) {
  BlobReader in(bytes, "classify.bin");
  TextClassifier model;
  in.require(in.get<uint32_t>() == kFormat);
  model.names_ = in.texts();
  model.places_ = in.vector<uint32_t>();
  model.width_ = in.get<uint64_t>();
  model.fingerprint_ = in.text();
  model.weights_ = in.vector<float>();
  const size_t classes = model.names_.size();
  in.require(classes > 0 && std::is_sorted(model.names_.begin(), model.names_.end()) && std::is_sorted(model.places_.begin(), model.places_.end()));
  in.require(model.weights_.size() == kSignals && model.width_ <= 65536);
  model.sparse_ = LinearClassifier::load(in);
  in.require(size_t(model.sparse_.classes()) == classes && model.sparse_.features() == model.places_.size());
  if (model.width_) {
    for (LinearClassifier* part : {&model.dense_, &model.centre_}) {
      *part = LinearClassifier::load(in);
      in.require(size_t(part->classes()) == classes && part->features() == model.width_);
    }
    if (!encoder || encoder->fingerprint() != model.fingerprint_) {
      throw Error(ErrorKind::environment, "the text encoder that this AI was built with is missing", model.fingerprint_, "pull it, or build again without it");
    }
    model.encoder_ = std::move(encoder);
  }
  in.require(in.done());
  return model;
}

}  // namespace ingot
