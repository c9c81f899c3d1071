#include "guard/injection/injection_rail.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_set>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "guard/injection/disguise.h"
#include "guard/sentences.h"
#include "models/word_vectors.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr uint32_t kInjectionFormat = 1;
constexpr int kFolds = 4;
constexpr double kWordCost = 4, kVectorCost = 4;
constexpr size_t kShortPair = 30;  // words of two sentences that are judged together too

size_t words_in(std::string_view text) {
  size_t count = 0;
  bool inside = false;
  for (char c : text) {
    const bool blank = c == ' ' || c == '\t';
    count += !blank && !inside;
    inside = !blank;
  }
  return count;
}

void to_grid(Margin& margin, float& scale) {
  float largest = 0;
  for (float w : margin.weights) largest = std::max(largest, std::abs(w));
  scale = largest / 127;
  for (float& w : margin.weights) w = scale > 0 ? std::round(w / scale) * scale : 0;
}

double probability(double odds) { return 1 / (1 + std::exp(-odds)); }

}  // namespace

std::vector<std::string> judged_passages(std::string_view reading) {
  std::vector<std::string> passages;
  std::string_view before;
  size_t words_before = 0;
  for (std::string_view sentence : sentences_of(reading)) {
    const size_t words = words_in(sentence);
    if (!before.empty() && words + words_before <= kShortPair) passages.push_back(std::string(before) + " " + std::string(sentence));
    passages.emplace_back(sentence);
    before = sentence;
    words_before = words;
  }
  return passages;
}

InjectionRail InjectionRail::train(const Background& attacks, std::span<const std::vector<std::string>> ordinary, const Options& options) {
  constexpr size_t kFewest = 100;
  size_t ordinary_texts = 0;
  for (const auto& group : ordinary) ordinary_texts += group.size();
  if (attacks.texts.size() < kFewest || ordinary_texts < kFewest) bad_input("there are too few texts to learn from", "recipes/injection", "give at least 100 attacks and 100 ordinary texts");
  InjectionRail rail;
  rail.encoder_ = options.encoder;
  if (options.encoder) rail.fingerprint_ = options.encoder->fingerprint();
  std::vector<std::string> texts;
  std::vector<uint8_t> own;
  std::vector<int> fold;
  Random random(options.seed);
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < attacks.texts.size(); ++i) {
    std::string text = readings_of(attacks.texts[i])[0].text;
    if (!seen.insert(text).second) continue;
    texts.push_back(std::move(text));
    own.push_back(1);
    fold.push_back(attacks.subject[i] % kFolds);
  }
  std::vector<std::vector<std::string>> judging(ordinary.size());  // whole texts that set the threshold
  for (size_t group = 0; group < ordinary.size(); ++group) {
    for (size_t i = 0; i < ordinary[group].size(); ++i) {
      if (i % 5 == 4) {
        judging[group].push_back(ordinary[group][i]);
        continue;
      }
      for (std::string& passage : judged_passages(readings_of(ordinary[group][i])[0].text)) {
        if (!seen.insert(passage).second) continue;
        texts.push_back(std::move(passage));
        own.push_back(0);
        fold.push_back(static_cast<int>(i / 5 % kFolds));
      }
    }
  }
  std::vector<HashedRow> rows;
  for (const std::string& text : texts) rows.push_back(hashed_features(text));
  const size_t width = options.encoder ? static_cast<size_t>(options.encoder->width()) : 0;
  const std::vector<float> vectors = options.encoder ? options.encoder->encode(texts) : std::vector<float>();
  const auto vector_row = [&](size_t i) { return std::span<const float>(vectors.data() + i * width, width); };
  // Families of attacks are held out whole, so that the weights say what is worth how much on what was never seen.
  std::vector<float> features(2 * texts.size());
  std::vector<uint32_t> everything;
  for (uint32_t i = 0; i < texts.size(); ++i) everything.push_back(i);
  for (int held = 0; held < kFolds; ++held) {
    std::vector<uint32_t> chosen;
    for (uint32_t i : everything)
      if (fold[i] != held) chosen.push_back(i);
    const Margin words = fit_margin(rows, chosen, own, kWordCost, options.seed);
    const Margin dense = width ? fit_margin(vectors, width, chosen, own, kVectorCost, options.seed) : Margin();
    for (uint32_t i : everything) {
      if (fold[i] != held) continue;
      features[2 * i] = margin_of(words, rows[i]);
      features[2 * i + 1] = width ? margin_of(dense, vector_row(i)) : 0;
    }
  }
  rail.weights_ = fit_logistic(features, 2, own, 1.0);
  rail.words_ = fit_margin(rows, everything, own, kWordCost, options.seed);
  to_grid(rail.words_, rail.word_scale_);
  if (width) rail.vector_ = fit_margin(vectors, width, everything, own, kVectorCost, options.seed);
  // Every group weighs the same, whatever its size.
  std::vector<std::pair<double, double>> scores;  // of a text, and its weight
  for (const auto& group : judging)
    for (const std::string& text : group) scores.emplace_back(rail.look(text).score, 1.0 / static_cast<double>(group.size()));
  std::sort(scores.begin(), scores.end(), std::greater<>());
  const auto groups = static_cast<double>(std::count_if(judging.begin(), judging.end(), [](const auto& group) { return !group.empty(); }));
  double above = 0;
  rail.threshold_ = 0.999999;
  for (const auto& [score, weight] : scores) {
    if ((above += weight) > options.false_alarms * groups) break;
    rail.threshold_ = std::clamp(score, 0.05, 0.999999);
  }
  return rail;
}

double InjectionRail::log_odds(const std::string& sentence) const {
  double odds = weights_[2] + weights_[0] * margin_of(words_, hashed_features(sentence));
  if (!vector_.weights.empty()) odds += weights_[1] * margin_of(vector_, encoder_->encode({&sentence, 1}));
  return odds;
}

InjectionRail::Finding InjectionRail::look(std::string_view text) const {
  if (!vector_.weights.empty() && !encoder_) throw Error(ErrorKind::environment, "the encoder of the injection rail is missing", fingerprint_, "build again");
  Finding finding;
  double highest = -1e9;
  std::unordered_set<std::string> seen;
  for (const Reading& reading : readings_of(text)) {
    for (const std::string& passage : judged_passages(reading.text)) {
      if (!seen.insert(passage).second) continue;
      const double odds = log_odds(passage);
      if (odds <= highest) continue;
      highest = odds;
      finding = {probability(odds), passage, reading.disguise};
    }
  }
  return finding;
}

void InjectionRail::save(BlobWriter& out) const {
  std::vector<int8_t> levels;
  for (float w : words_.weights) levels.push_back(static_cast<int8_t>(word_scale_ > 0 ? std::lround(w / word_scale_) : 0));
  out.put(kInjectionFormat);
  out.put(word_scale_);
  out.put(words_.bias);
  out.put(levels);
  out.put(vector_.weights);
  out.put(vector_.bias);
  out.put(weights_);
  out.put(threshold_);
  out.put(std::string_view(fingerprint_));
}

InjectionRail InjectionRail::load(BlobReader& in, std::span<const std::shared_ptr<const TextEncoder>> encoders) {
  InjectionRail rail;
  in.require(in.get<uint32_t>() == kInjectionFormat);
  rail.word_scale_ = in.get<float>();
  rail.words_.bias = in.get<float>();
  for (int8_t level : in.vector<int8_t>()) rail.words_.weights.push_back(static_cast<float>(level) * rail.word_scale_);
  rail.vector_.weights = in.vector<float>();
  rail.vector_.bias = in.get<float>();
  rail.weights_ = in.vector<double>();
  rail.threshold_ = in.get<double>();
  rail.fingerprint_ = in.text();
  in.require(rail.words_.weights.size() == kHashedPlaces && rail.weights_.size() == 3 && rail.vector_.weights.size() <= 65536);
  in.require(rail.vector_.weights.empty() == rail.fingerprint_.empty());
  for (float value : rail.vector_.weights) in.require(std::isfinite(value));
  for (double value : rail.weights_) in.require(std::isfinite(value));
  in.require(std::isfinite(rail.word_scale_) && std::isfinite(rail.words_.bias) && std::isfinite(rail.vector_.bias) && rail.threshold_ > 0 && rail.threshold_ < 1);
  for (const auto& encoder : encoders) {
    if (encoder && !rail.fingerprint_.empty() && encoder->fingerprint() == rail.fingerprint_ && static_cast<size_t>(encoder->width()) == rail.vector_.weights.size()) rail.encoder_ = encoder;
  }
  return rail;
}

std::shared_ptr<const InjectionRail> InjectionRail::shipped() {
  static const std::shared_ptr<const InjectionRail> rail = [] {
    const auto path = share_dir() / "models/injection.bin";
    if (!std::filesystem::exists(path)) throw Error(ErrorKind::environment, "the model of the injection rail is missing", path.string(), "install Ingot's share folder beside the binary");
    const std::string bytes = read_file(path);
    BlobReader in(std::as_bytes(std::span(bytes)), path.string());
    const std::shared_ptr<const TextEncoder> words = WordVectors::shipped();
    auto loaded = std::make_shared<const InjectionRail>(load(in, {&words, 1}));
    in.require(in.done());
    return loaded;
  }();
  return rail;
}

}  // namespace ingot
