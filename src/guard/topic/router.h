// Which of several AIs a question belongs to: the topic rails' own scores, sharpened by telling the AIs' texts from each other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "guard/rails.h"

namespace ingot {

struct Route {
  std::optional<size_t> best;   // empty: the text is for none of them
  std::vector<double> scores;   // (AIs) 0 to 1; an AI without a topic rail has 0 and is never named
};

class Router {
 public:
  // Keeps the rails alive. The AIs are told apart by margins between their own texts, learnt here.
  explicit Router(std::vector<std::shared_ptr<const Rails>> ais);

  // Never throws for a text; a rail that cannot run names nobody. Thread-safe.
  Route route(const std::string& text) const;
  size_t size() const { return ais_.size(); }

 private:
  std::vector<std::shared_ptr<const Rails>> ais_;
  // (AIs) over hashed n-grams, and over sentence vectors of the space that all rails share; empty weights: nothing to be told apart from.
  std::vector<Margin> margins_, vector_margins_;
  std::vector<size_t> places_;  // (AIs) where that space stands in each rail
};

}  // namespace ingot
