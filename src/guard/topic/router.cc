#include "guard/topic/router.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/random.h"
#include "core/threads.h"

namespace ingot {
namespace {

constexpr size_t kMostTexts = 1500;   // own texts of an AI that the contrast learns from
constexpr double kCost = 3;
// Log-odds that one unit of margin between the AIs is worth.
constexpr double kContrast = 6;

size_t space_of(const TopicRail& rail, const std::string& fingerprint) {
  for (size_t s = rail.spaces(); s-- > 0;) {
    if (rail.fingerprint(s) == fingerprint) return s;
  }
  return rail.spaces();
}

}  // namespace

Router::Router(std::vector<std::shared_ptr<const Rails>> ais) : ais_(std::move(ais)), margins_(ais_.size()) {
  // The last space of a rail is its best; the one that most AIs share is used.
  std::map<std::string, size_t> shared;
  for (const auto& ai : ais_) {
    if (const TopicRail* rail = ai->topic(); rail && rail->spaces()) ++shared[rail->fingerprint(rail->spaces() - 1)];
  }
  size_t most = 1;
  for (const auto& [name, count] : shared) {
    if (count > most) fingerprint_ = name, most = count;
  }
  if (fingerprint_.empty()) return;
  std::vector<float> rows;
  std::vector<int> owner;
  size_t width = 0;
  for (size_t a = 0; a < ais_.size(); ++a) {
    const TopicRail* rail = ais_[a]->topic();
    const size_t space = rail ? space_of(*rail, fingerprint_) : 0;
    if (!rail || space == rail->spaces()) continue;
    const auto own = rail->own_vectors(space);
    width = rail->width(space);
    const size_t texts = std::min(own.size() / width, kMostTexts);
    rows.insert(rows.end(), own.begin(), own.begin() + static_cast<long>(texts * width));
    owner.insert(owner.end(), texts, static_cast<int>(a));
  }
  std::vector<uint32_t> chosen(owner.size());
  for (uint32_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
  default_team().parallel_for(ais_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t a = begin; a < end; ++a) {
      std::vector<uint8_t> own;
      for (int who : owner) own.push_back(who == static_cast<int>(a));
      if (std::find(own.begin(), own.end(), 1) != own.end()) margins_[a] = fit_margin(rows, width, chosen, own, kCost, 1);
    }
  });
}

Route Router::route(const std::string& text) const {
  Route route;
  route.scores.assign(ais_.size(), 0.0);
  std::map<std::string, std::vector<float>> vectors;
  double highest = -1;
  for (size_t a = 0; a < ais_.size(); ++a) {
    const TopicRail* rail = ais_[a]->topic();
    if (!rail) continue;
    try {
      const TopicRail::Evidence evidence = rail->evidence(text, vectors);
      const double excess = rail->excess(evidence);
      double odds = excess;
      if (!margins_[a].weights.empty()) odds += kContrast * (0.5 + margin_of(margins_[a], vectors.at(fingerprint_)));
      route.scores[a] = 1 / (1 + std::exp(-odds / 4));
      if (excess >= 0 && route.scores[a] > highest) {
        highest = route.scores[a];
        route.best = a;
      }
    } catch (const std::exception&) {
      route.scores[a] = 0;
    }
  }
  return route;
}

}  // namespace ingot
