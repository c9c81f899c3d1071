#include "guard/topic/router.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/random.h"
#include "core/threads.h"

namespace ingot {
namespace {

constexpr double kCost = 3;
constexpr double kContrast = 8;  // log-odds that one unit of margin between the AIs is worth
// An AI is named although its own rail is a little short of letting the text pass, if the text is plainly nearer to it than to
// the others. Nothing slips through: the rail of the AI that is then asked decides for itself.
constexpr double kSlack = 4, kLeast = 2;  // log-odds: of the rail alone, of rail and contrast together

}  // namespace

Router::Router(std::vector<std::shared_ptr<const Rails>> ais) : ais_(std::move(ais)), margins_(ais_.size()) {
  std::vector<HashedRow> rows;
  std::vector<size_t> owner;
  for (size_t a = 0; a < ais_.size(); ++a) {
    const TopicRail* rail = ais_[a]->topic();
    if (!rail) continue;
    rows.insert(rows.end(), rail->own_rows().begin(), rail->own_rows().end());
    owner.insert(owner.end(), rail->own_rows().size(), a);
  }
  if (owner.empty() || owner.front() == owner.back()) return;
  std::vector<uint32_t> chosen(owner.size());
  for (uint32_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
  default_team().parallel_for(ais_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t a = begin; a < end; ++a) {
      std::vector<uint8_t> own;
      for (size_t who : owner) own.push_back(who == a);
      if (std::find(own.begin(), own.end(), 1) != own.end()) margins_[a] = fit_margin(rows, chosen, own, kCost, 1);
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
      if (!margins_[a].weights.empty()) odds += kContrast * (0.5 + margin_of(margins_[a], evidence.row));
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
