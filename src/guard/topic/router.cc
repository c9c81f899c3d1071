#include "guard/topic/router.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/random.h"
#include "core/threads.h"

namespace ingot {
namespace {

constexpr double kCost = 3, kSpaceCost = 10;
constexpr double kContrast = 8, kSpaceContrast = 3;  // log-odds that one unit of either margin between the AIs is worth
// An AI is named although its own rail is a little short of letting the text pass, if the text is plainly nearer to it than to
// the others. Nothing slips through: the rail of the AI that is then asked decides for itself.
constexpr double kSlack = 4, kLeast = 2;  // log-odds: of the rail alone, of rail and contrast together

// The space of that fingerprint, if the rail has it.
std::optional<size_t> place_of(const TopicRail& rail, const std::string& fingerprint) {
  for (size_t s = 0; s < rail.spaces(); ++s)
    if (rail.fingerprint(s) == fingerprint) return s;
  return std::nullopt;
}

}  // namespace

Router::Router(std::vector<std::shared_ptr<const Rails>> ais) : ais_(std::move(ais)), margins_(ais_.size()), vector_margins_(ais_.size()), places_(ais_.size()) {
  std::vector<HashedRow> rows;
  std::vector<size_t> owner;
  for (size_t a = 0; a < ais_.size(); ++a) {
    const TopicRail* rail = ais_[a]->topic();
    if (!rail) continue;
    rows.insert(rows.end(), rail->own_rows().begin(), rail->own_rows().end());
    owner.insert(owner.end(), rail->own_rows().size(), a);
  }
  if (owner.empty() || owner.front() == owner.back()) return;
  // One margin an AI: its own texts against the others'.
  const auto learn = [&](const std::vector<size_t>& owners, std::vector<Margin>& margins, auto&& fit) {
    std::vector<uint32_t> chosen(owners.size());
    for (uint32_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
    default_team().parallel_for(ais_.size(), 1, [&](size_t begin, size_t end) {
      for (size_t a = begin; a < end; ++a) {
        std::vector<uint8_t> own;
        for (size_t who : owners) own.push_back(who == a);
        if (std::find(own.begin(), own.end(), 1) != own.end()) margins[a] = fit(chosen, own);
      }
    });
  };
  learn(owner, margins_, [&](const auto& chosen, const auto& own) { return fit_margin(rows, chosen, own, kCost, 1); });

  const TopicRail* first = ais_[owner.front()]->topic();
  if (first->spaces() == 0) return;
  const std::string space = first->fingerprint(first->spaces() - 1);
  const size_t width = first->width(first->spaces() - 1);
  std::vector<float> vectors;
  owner.clear();
  for (size_t a = 0; a < ais_.size(); ++a) {
    const TopicRail* rail = ais_[a]->topic();
    if (!rail) continue;
    const auto at = place_of(*rail, space);
    if (!at) return;
    places_[a] = *at;
    const auto own = rail->own_vectors(*at);
    vectors.insert(vectors.end(), own.begin(), own.end());
    owner.insert(owner.end(), own.size() / width, a);
  }
  learn(owner, vector_margins_, [&](const auto& chosen, const auto& own) { return fit_margin(vectors, width, chosen, own, kSpaceCost, 1); });
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
      if (!margins_[a].weights.empty()) odds += kContrast * (0.5 + margin_of(margins_[a], evidence.row));
      if (!vector_margins_[a].weights.empty()) odds += kSpaceContrast * (0.5 + margin_of(vector_margins_[a], evidence.vectors[places_[a]]));
      route.scores[a] = 1 / (1 + std::exp(-odds / 4));
      const bool alone = margins_[a].weights.empty();
      if ((alone ? excess >= 0 : excess >= -kSlack && odds >= kLeast) && route.scores[a] > highest) {
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
