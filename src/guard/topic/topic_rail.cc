#include "guard/topic/topic_rail.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "core/random.h"
#include "guard/rates.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/gemm.h"
#include "models/word_vectors.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr uint32_t kTopicFormat = 2;
constexpr int kFolds = 5;
constexpr double kWordCost = 30, kVectorCost = 10;
constexpr int kNear = 3;            // neighbours that are averaged
constexpr double kOwnShare = 0.5;   // a subject of which more is taken for own text is the AI's own
constexpr float kSurelyOwn = 2;     // margin beyond which a single background text is taken out
constexpr float kGrid = 254;        // steps of a stored vector's element; no element of a sentence vector is near one half

struct Near {
  float mean = 0, best = 0;  // of the cosines to the kNear nearest, and to the nearest
};

Near nearest(std::span<const float> cosines) {
  float best[kNear];
  std::fill(best, best + kNear, -1.f);
  for (float c : cosines) {
    if (c <= best[kNear - 1]) continue;
    int at = kNear - 1;
    while (at > 0 && best[at - 1] < c) best[at] = best[at - 1], --at;
    best[at] = c;
  }
  Near near;
  const int count = std::min<int>(kNear, static_cast<int>(cosines.size()));
  for (int i = 0; i < count; ++i) near.mean += best[i] / static_cast<float>(count);
  near.best = count ? best[0] : 0;
  return near;
}

// Onto the grid that the file stores, so that answers before packing and after are the same.
void to_grid(std::vector<float>& values) {
  for (float& value : values) value = std::clamp(std::round(value * kGrid), -127.f, 127.f) / kGrid;
}
std::vector<int8_t> levels_of(std::span<const float> on_grid) {
  std::vector<int8_t> levels(on_grid.size());
  for (size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<int8_t>(std::lround(on_grid[i] * kGrid));
  return levels;
}
void to_grid(Margin& margin, float& scale) {
  float largest = 0;
  for (float w : margin.weights) largest = std::max(largest, std::abs(w));
  scale = largest / 127;
  for (float& w : margin.weights) w = scale > 0 ? std::round(w / scale) * scale : 0;
}

struct Texts {
  std::vector<HashedRow> rows;
  std::vector<std::vector<float>> vectors;  // (spaces)(texts, width)
  std::vector<uint8_t> own;                 // (texts)
  std::vector<int> fold;                    // (texts)
};

std::span<const float> row_of(const std::vector<float>& matrix, size_t width, size_t i) { return {matrix.data() + i * width, width}; }

// What the scorers say of the texts `asked` when they have seen only `seen`. (asked, signals)
std::vector<float> features_of(const Texts& texts, std::span<const size_t> widths, std::span<const uint32_t> seen, std::span<const uint32_t> asked, uint64_t seed) {
  const size_t signals = 1 + 4 * widths.size();
  std::vector<float> features(asked.size() * signals);
  const Margin words = fit_margin(texts.rows, seen, texts.own, kWordCost, seed);
  for (size_t i = 0; i < asked.size(); ++i) features[i * signals] = margin_of(words, texts.rows[asked[i]]);
  for (size_t s = 0; s < widths.size(); ++s) {
    const size_t width = widths[s];
    const std::vector<float>& all = texts.vectors[s];
    const Margin margin = fit_margin(all, width, seen, texts.own, kVectorCost, seed);
    std::vector<float> question(asked.size() * width), bank(seen.size() * width);
    std::vector<uint32_t> ordered(seen.begin(), seen.end());
    std::stable_partition(ordered.begin(), ordered.end(), [&](uint32_t i) { return texts.own[i]; });
    const size_t owns = static_cast<size_t>(std::count_if(ordered.begin(), ordered.end(), [&](uint32_t i) { return texts.own[i]; }));
    for (size_t i = 0; i < asked.size(); ++i) std::ranges::copy(row_of(all, width, asked[i]), question.begin() + static_cast<long>(i * width));
    for (size_t i = 0; i < ordered.size(); ++i) std::ranges::copy(row_of(all, width, ordered[i]), bank.begin() + static_cast<long>(i * width));
    std::vector<float> cosines(asked.size() * ordered.size());
    gemm_f32(Transpose::kNo, Transpose::kYes, static_cast<int64_t>(asked.size()), static_cast<int64_t>(ordered.size()), static_cast<int64_t>(width), question.data(),
             static_cast<int64_t>(width), bank.data(), static_cast<int64_t>(width), cosines.data(), static_cast<int64_t>(ordered.size()), false, default_team());
    for (size_t i = 0; i < asked.size(); ++i) {
      const std::span<const float> line(cosines.data() + i * ordered.size(), ordered.size());
      const Near own = nearest(line.first(owns)), other = nearest(line.subspan(owns));
      float* out = features.data() + i * signals + 1 + 4 * s;
      out[0] = margin_of(margin, row_of(all, width, asked[i]));
      out[1] = own.mean;
      out[2] = own.best;
      out[3] = other.best;
    }
  }
  return features;
}

double log_odds(std::span<const double> weights, std::span<const float> features, std::span<const float> centre, std::span<const float> spread) {
  double z = weights.back();
  for (size_t j = 0; j + 1 < weights.size(); ++j) z += weights[j] * (features[j] - centre[j]) / spread[j];
  return z;
}

// What an encoder makes of texts; a sentence encoder reads their beginnings, words are cheap to the end.
std::vector<float> encoded(const TextEncoder& encoder, std::vector<std::string> texts) {
  if (!dynamic_cast<const WordVectors*>(&encoder))
    for (std::string& text : texts) text.resize(std::min(text.size(), TopicRail::kLongestEncoded));
  return encoder.encode(texts);
}

}  // namespace

TopicRail TopicRail::train(std::span<const std::string> own, const Background& background, const TopicOptions& options) {
  Random random(options.seed);
  std::vector<std::string> all;
  std::unordered_set<std::string> seen_texts;
  for (const std::string& text : own) {
    if (seen_texts.insert(normalise_text(text)).second) all.push_back(text);
  }
  random.shuffle(all);
  if (all.size() > options.most_own) all.resize(options.most_own);
  if (all.size() < kFewest) {
    bad_input(fmt::format("{} different texts are too few for a topic rail", all.size()), "guard.topic",
              fmt::format("give at least {} more, as records or as guard.examples, or set guard.topic to \"off\"", kFewest - all.size()));
  }
  if (background.texts.size() < kFewest) bad_input("there are too few texts of other subjects for a topic rail", "guard.topic", "give more");
  TopicRail rail;
  const size_t owns = rail.own_texts_ = all.size();
  Texts texts;
  // What is both own and background is own.
  std::vector<int> subject(owns, -1);
  for (size_t i = 0; i < background.texts.size(); ++i) {
    if (seen_texts.contains(normalise_text(background.texts[i]))) continue;
    all.push_back(background.texts[i]);
    subject.push_back(background.subject[i]);
  }
  std::vector<size_t> widths;
  for (const auto& encoder : options.encoders) {
    rail.spaces_.push_back({encoder, encoder->fingerprint(), static_cast<size_t>(encoder->width()), {}, {}, {}});
    widths.push_back(rail.spaces_.back().width);
    texts.vectors.push_back(encoded(*encoder, all));
    to_grid(texts.vectors.back());
  }
  for (size_t i = 0; i < all.size(); ++i) {
    texts.rows.push_back(hashed_features(normalise_text(all[i])));
    texts.own.push_back(i < owns);
    texts.fold.push_back(i < owns ? static_cast<int>(i % kFolds) : subject[i] % kFolds);
  }
  // Some of the background is about the AI's own subject: what a scorer that has not seen a subject takes for own is left out.
  std::vector<uint8_t> kept(all.size(), 1), own_subject(background.subjects.size(), 0);
  for (int round = 0; round < 2; ++round) {
    std::vector<float> margin(all.size(), 0.f);
    for (int fold = 0; fold < kFolds; ++fold) {
      std::vector<uint32_t> seen;
      for (uint32_t i = 0; i < all.size(); ++i) {
        if (i < owns || (kept[i] && texts.fold[i] != fold)) seen.push_back(i);
      }
      const size_t space = widths.size();  // the last encoder given is the best
      const Margin fitted = space ? fit_margin(texts.vectors[space - 1], widths[space - 1], seen, texts.own, kVectorCost, options.seed)
                                  : fit_margin(texts.rows, seen, texts.own, kWordCost, options.seed);
      for (size_t i = owns; i < all.size(); ++i) {
        if (texts.fold[i] == fold) margin[i] = space ? margin_of(fitted, row_of(texts.vectors[space - 1], widths[space - 1], i)) : margin_of(fitted, texts.rows[i]);
      }
    }
    std::vector<int> count(background.subjects.size(), 0), taken(background.subjects.size(), 0);
    for (size_t i = owns; i < all.size(); ++i) {
      ++count[subject[i]];
      taken[subject[i]] += margin[i] > 0;
    }
    for (size_t s = 0; s < count.size(); ++s) own_subject[s] = count[s] && taken[s] > kOwnShare * count[s];
    for (size_t i = owns; i < all.size(); ++i) kept[i] = !own_subject[subject[i]] && margin[i] <= kSurelyOwn;
  }
  for (size_t s = 0; s < own_subject.size(); ++s) {
    if (own_subject[s]) rail.own_subjects_.push_back(background.subjects[s]);
  }
  // Cross-validation: own text by chance, the background by whole subjects.
  const size_t signals = rail.signals();
  std::vector<float> features;
  std::vector<uint8_t> is_own;
  std::vector<uint32_t> everything;
  for (int fold = 0; fold < kFolds; ++fold) {
    std::vector<uint32_t> seen, asked;
    for (uint32_t i = 0; i < all.size(); ++i) {
      if (kept[i]) (texts.fold[i] == fold ? asked : seen).push_back(i);
    }
    const auto part = features_of(texts, widths, seen, asked, options.seed);
    features.insert(features.end(), part.begin(), part.end());
    for (uint32_t i : asked) is_own.push_back(texts.own[i]);
  }
  for (uint32_t i = 0; i < all.size(); ++i) {
    if (kept[i]) everything.push_back(i);
  }
  rail.centre_.assign(signals, 0.f);
  rail.spread_.assign(signals, 0.f);
  const size_t n = is_own.size();
  for (size_t i = 0; i < n * signals; ++i) rail.centre_[i % signals] += features[i] / static_cast<float>(n);
  for (size_t i = 0; i < n * signals; ++i) rail.spread_[i % signals] += std::pow(features[i] - rail.centre_[i % signals], 2.f) / static_cast<float>(n);
  for (float& spread : rail.spread_) spread = std::sqrt(spread) + 1e-6f;
  std::vector<float> scaled(features.size());
  for (size_t i = 0; i < features.size(); ++i) scaled[i] = (features[i] - rail.centre_[i % signals]) / rail.spread_[i % signals];
  rail.weights_ = fit_logistic(scaled, signals, is_own, 1.0);
  std::vector<double> odds, odds_of_others;
  for (size_t i = 0; i < n; ++i) {
    (is_own[i] ? odds : odds_of_others).push_back(log_odds(rail.weights_, {features.data() + i * signals, signals}, rail.centre_, rail.spread_));
  }
  std::sort(odds.begin(), odds.end());
  size_t dropped = static_cast<size_t>((1 - options.keep) * static_cast<double>(odds.size()));
  // Of few texts the bound would drop none, and the oddest one would open the rail to everything: half of what may go always goes.
  const size_t least = dropped / 2;
  while (dropped > least && Rate{odds.size() - dropped, odds.size()}.low(1.645) < options.keep) --dropped;
  rail.threshold_ = odds[dropped] - (dropped == 0 ? 0.1 : 0);
  if (options.stop > 0) {
    std::sort(odds_of_others.begin(), odds_of_others.end());
    const auto at = static_cast<size_t>(options.stop * static_cast<double>(odds_of_others.size()));
    rail.threshold_ = std::min(rail.threshold_, odds_of_others[std::min(at, odds_of_others.size() - 1)] + 1e-6);
  }
  // Packed: what has seen everything.
  rail.words_ = fit_margin(texts.rows, everything, texts.own, kWordCost, options.seed);
  to_grid(rail.words_, rail.word_scale_);
  for (size_t i = 0; i < std::min(owns, kMostRows); ++i) {
    std::vector<uint32_t> places = texts.rows[i].ids;
    // A long text gives places from all over its range of hashes, so that words and pieces are both there.
    while (places.size() > kMostPlaces) {
      for (size_t k = 0; 2 * k < places.size(); ++k) places[k] = places[2 * k];
      places.resize((places.size() + 1) / 2);
    }
    rail.own_rows_.push_back(row_of_places(std::move(places)));
  }
  for (size_t s = 0; s < widths.size(); ++s) {
    Space& space = rail.spaces_[s];
    space.margin = fit_margin(texts.vectors[s], widths[s], everything, texts.own, kVectorCost, options.seed);
    for (uint32_t i : everything) {
      const auto row = row_of(texts.vectors[s], widths[s], i);
      const auto levels = levels_of(row);
      auto& side = texts.own[i] ? space.own : space.other;
      side.insert(side.end(), levels.begin(), levels.end());
    }
  }
  return rail;
}

std::vector<float> TopicRail::own_vectors(size_t space) const {
  std::vector<float> vectors;
  for (int8_t level : spaces_[space].own) vectors.push_back(static_cast<float>(level) / kGrid);
  return vectors;
}

void TopicRail::judge(const HashedRow& row, std::span<const std::vector<float>> vectors, float* out) const {
  *out++ = margin_of(words_, row);
  std::vector<float> cosines;
  for (size_t s = 0; s < spaces_.size(); ++s) {
    const Space& space = spaces_[s];
    // In the grid's steps: exact, and a quarter of the bytes, as every question meets every stored vector.
    const std::vector<int8_t> asked = levels_of(vectors[s]);
    const auto dot = cpu::row_kernels().dot_bytes;
    const auto near_to = [&](const std::vector<int8_t>& bank) {
      cosines.resize(bank.size() / space.width);
      for (size_t i = 0; i < cosines.size(); ++i) cosines[i] = static_cast<float>(dot(bank.data() + i * space.width, asked.data(), static_cast<int64_t>(space.width))) / (kGrid * kGrid);
      return nearest(cosines);
    };
    const Near own = near_to(space.own), other = near_to(space.other);
    *out++ = margin_of(space.margin, vectors[s]);
    *out++ = own.mean;
    *out++ = own.best;
    *out++ = other.best;
  }
}

TopicRail::Evidence TopicRail::evidence(const std::string& text) const {
  std::map<std::string, std::vector<float>> none;
  return evidence(text, none);
}

TopicRail::Evidence TopicRail::evidence(const std::string& text, std::map<std::string, std::vector<float>>& vectors) const {
  Evidence evidence;
  evidence.row = hashed_features(normalise_text(text));
  for (const Space& space : spaces_) {
    if (const auto known = vectors.find(space.fingerprint); known != vectors.end()) {
      evidence.vectors.push_back(known->second);
      continue;
    }
    if (!space.encoder) throw Error(ErrorKind::environment, "the encoder of the topic rail is missing", space.fingerprint, "pull it, or build again without it");
    evidence.vectors.push_back(encoded(*space.encoder, {text}));
    to_grid(evidence.vectors.back());
    vectors[space.fingerprint] = evidence.vectors.back();
  }
  return evidence;
}

double TopicRail::excess(const Evidence& evidence) const {
  std::vector<float> features(signals());
  judge(evidence.row, evidence.vectors, features.data());
  return log_odds(weights_, features, centre_, spread_) - threshold_;
}

double TopicRail::excess(const std::string& text) const { return excess(evidence(text)); }
double TopicRail::score_of(double excess) const { return 1 / (1 + std::exp(-(excess + threshold_))); }
double TopicRail::score(const std::string& text) const { return score_of(excess(text)); }

void TopicRail::save(BlobWriter& out) const {
  const auto grid = [&](const std::vector<float>& values, float scale) {
    std::vector<int8_t> levels;
    for (float value : values) levels.push_back(static_cast<int8_t>(scale > 0 ? std::lround(value / scale) : 0));
    out.put(levels);
  };
  out.put(kTopicFormat);
  out.put(word_scale_);
  out.put(words_.bias);
  grid(words_.weights, word_scale_);
  out.put<uint32_t>(static_cast<uint32_t>(spaces_.size()));
  for (const Space& space : spaces_) {
    out.put(std::string_view(space.fingerprint));
    out.put<uint64_t>(space.width);
    out.put(space.margin.weights);
    out.put(space.margin.bias);
    out.put(space.own);
    out.put(space.other);
  }
  out.put(centre_);
  out.put(spread_);
  out.put(weights_);
  out.put(threshold_);
  std::vector<uint32_t> places, sizes;
  for (const HashedRow& row : own_rows_) {
    sizes.push_back(static_cast<uint32_t>(row.ids.size()));
    places.insert(places.end(), row.ids.begin(), row.ids.end());
  }
  out.put(sizes);
  out.put(places);
  out.put(own_subjects_);
  out.put<uint64_t>(own_texts_);
}

TopicRail TopicRail::load(BlobReader& in, std::span<const std::shared_ptr<const TextEncoder>> encoders) {
  TopicRail rail;
  if (const auto format = in.get<uint32_t>(); format != kTopicFormat) {
    bad_input(fmt::format("the topic rail has format {}, this ingot reads {}", format, kTopicFormat), "guard.bin", "use the version of ingot that built the file, or build again");
  }
  const auto finite = [&](const auto& values) {
    for (auto value : values) in.require(std::isfinite(value));
  };
  const auto grid = [&](float scale) {
    std::vector<float> values;
    for (int8_t level : in.vector<int8_t>()) values.push_back(static_cast<float>(level) * scale);
    return values;
  };
  const float scale = rail.word_scale_ = in.get<float>();
  rail.words_.bias = in.get<float>();
  in.require(std::isfinite(scale) && std::isfinite(rail.words_.bias));
  rail.words_.weights = grid(scale);
  in.require(rail.words_.weights.size() == kHashedPlaces);
  const auto spaces = in.get<uint32_t>();
  in.require(spaces <= 4);
  for (uint32_t s = 0; s < spaces; ++s) {
    Space space;
    space.fingerprint = in.text();
    space.width = in.get<uint64_t>();
    in.require(space.width > 0 && space.width <= 65536);
    space.margin.weights = in.vector<float>();
    space.margin.bias = in.get<float>();
    finite(space.margin.weights);
    in.require(space.margin.weights.size() == space.width && std::isfinite(space.margin.bias));
    for (auto* side : {&space.own, &space.other}) {
      *side = in.vector<int8_t>();
      in.require(side->size() % space.width == 0);
    }
    for (const auto& encoder : encoders) {
      if (encoder && encoder->fingerprint() == space.fingerprint && static_cast<size_t>(encoder->width()) == space.width) space.encoder = encoder;
    }
    rail.spaces_.push_back(std::move(space));
  }
  rail.centre_ = in.vector<float>();
  rail.spread_ = in.vector<float>();
  rail.weights_ = in.vector<double>();
  rail.threshold_ = in.get<double>();
  finite(rail.centre_), finite(rail.spread_), finite(rail.weights_);
  in.require(rail.centre_.size() == rail.signals() && rail.spread_.size() == rail.signals() && rail.weights_.size() == rail.signals() + 1 && std::isfinite(rail.threshold_));
  for (float spread : rail.spread_) in.require(spread > 0);
  const auto sizes = in.vector<uint32_t>(), places = in.vector<uint32_t>();
  size_t at = 0;
  for (uint32_t size : sizes) {
    in.require(size <= kMostPlaces && size <= places.size() - at);
    std::vector<uint32_t> row(places.begin() + static_cast<long>(at), places.begin() + static_cast<long>(at + size));
    for (size_t k = 0; k < row.size(); ++k) in.require(row[k] < kHashedPlaces && (k == 0 || row[k] > row[k - 1]));
    rail.own_rows_.push_back(row_of_places(std::move(row)));
    at += size;
  }
  in.require(at == places.size());
  rail.own_subjects_ = in.texts();
  rail.own_texts_ = in.get<uint64_t>();
  return rail;
}

}  // namespace ingot
