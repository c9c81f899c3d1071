#include "foundry/classify/text_classifier.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "foundry/triage/fusion.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr uint32_t kFormat = 2;  // 1: one part whatever it is made of
constexpr int kFolds = 4;
constexpr size_t kFewestCases = 100;  // that were kept back from tuning, to weigh by
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
  std::vector<SparseRow> given;
  std::vector<int> right;
  for (uint32_t i : chosen) {
    given.push_back(known(rows[i]));
    right.push_back(labels[i]);
  }
  sparse_ = LinearClassifier::train(given, right, classes, places_.size(), kSparseCost, seed);
  for (Part& part : parts_) {
    given.clear();
    for (uint32_t i : chosen) given.push_back(dense_row(vectors.subspan(i * width_ + part.from, part.width)));
    part.linear = LinearClassifier::train(given, right, classes, part.width, kDenseCost, seed);
    part.centre = LinearClassifier::centroids(given, right, classes, part.width);
  }
}

std::vector<float> TextClassifier::features(const HashedRow& row, std::span<const float> vector) const {
  const size_t classes = names_.size(), all = signals();
  std::vector<float> result(classes * all), margins(classes);
  size_t signal = 0;
  const auto add = [&](const LinearClassifier& by, const SparseRow& given, float scale) {
    std::fill(margins.begin(), margins.end(), 0.f);
    by.score(given, margins);
    for (size_t c = 0; c < classes; ++c) result[c * all + signal] = margins[c] * scale;
    ++signal;
  };
  add(sparse_, known(row), 1);
  for (const Part& part : parts_) {
    const SparseRow given = dense_row(vector.subspan(part.from, part.width));
    add(part.linear, given, 1);
    add(part.centre, given, 4);
  }
  return result;
}

void TextClassifier::set_parts(std::span<const int> widths) {
  parts_.clear();
  width_ = 0;
  for (int width : widths) {
    parts_.push_back({width_, static_cast<size_t>(width), {}, {}});
    width_ += static_cast<size_t>(width);
  }
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
    model.set_parts(model.encoder_->parts());
    model.fingerprint_ = model.encoder_->fingerprint();
    vectors = model.encoder_->encode(texts);
  }
  model.weights_.assign(model.signals(), 1.f);
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
    std::vector<bool> weighs(texts.size(), true);
    if (model.encoder_) {
      for (size_t i = 0; i < texts.size(); ++i) weighs[i] = !model.encoder_->tuned_on(texts[i]);
      if (static_cast<size_t>(std::count(weighs.begin(), weighs.end(), true)) < kFewestCases) weighs.assign(texts.size(), true);
    }
    for (size_t fold = 0; fold < kFolds; ++fold) {
      std::vector<uint32_t> seen, asked;
      for (size_t i = 0; i < order.size(); ++i) (i % kFolds == fold ? asked : seen).push_back(order[i]);
      model.learn(rows, vectors, right, seen, seed);
      for (uint32_t i : asked)
        if (weighs[i]) cases.push_back({model.features(rows[i], std::span<const float>(vectors).subspan(i * model.width_, model.width_)), right[i]});
    }
    model.weights_ = fit_fusion(cases, model.signals(), std::vector<bool>(model.signals(), true));
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
  std::vector<uint32_t> widths;
  for (const Part& part : parts_) widths.push_back(static_cast<uint32_t>(part.width));
  out.put(widths);
  out.put(std::string_view(fingerprint_));
  out.put(weights_);
  sparse_.save(out);
  for (const Part& part : parts_) {
    part.linear.save(out);
    part.centre.save(out);
  }
  return out.take();
}

TextClassifier TextClassifier::load(std::span<const std::byte> bytes, std::shared_ptr<const TextEncoder> encoder) {
  BlobReader in(bytes, "classify.bin");
  TextClassifier model;
  const uint32_t format = in.get<uint32_t>();
  in.require(format >= 1 && format <= kFormat);
  model.names_ = in.texts();
  model.places_ = in.vector<uint32_t>();
  std::vector<uint32_t> widths;
  if (format == 1) {
    if (const uint64_t width = in.get<uint64_t>()) widths.push_back(static_cast<uint32_t>(std::min<uint64_t>(width, 65537)));
  } else {
    widths = in.vector<uint32_t>();
  }
  in.require(widths.size() <= 16 && std::all_of(widths.begin(), widths.end(), [](uint32_t width) { return width > 0 && width <= 65536; }));
  model.set_parts(std::vector<int>(widths.begin(), widths.end()));
  model.fingerprint_ = in.text();
  model.weights_ = in.vector<float>();
  const size_t classes = model.names_.size();
  in.require(classes > 0 && std::is_sorted(model.names_.begin(), model.names_.end()) && std::is_sorted(model.places_.begin(), model.places_.end()));
  in.require(model.weights_.size() == (format == 1 ? 3 : model.signals()));
  model.weights_.resize(model.signals());  // of the first format without an encoder: those of no signal
  model.sparse_ = LinearClassifier::load(in);
  in.require(size_t(model.sparse_.classes()) == classes && model.sparse_.features() == model.places_.size());
  for (Part& part : model.parts_) {
    for (LinearClassifier* one : {&part.linear, &part.centre}) {
      *one = LinearClassifier::load(in);
      in.require(size_t(one->classes()) == classes && one->features() == part.width);
    }
  }
  if (model.width_) {
    if (!encoder || encoder->fingerprint() != model.fingerprint_) {
      throw Error(ErrorKind::environment, "the text encoder that this AI was built with is missing", model.fingerprint_, "pull it, or build again without it");
    }
    model.encoder_ = std::move(encoder);
  }
  in.require(in.done());
  return model;
}

}  // namespace ingot
