// The report of a turn while it is made: what every kind of AI reports alike.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foundry/ai.h"
#include "foundry/fly/curate.h"

namespace ingot {

// How many of the newest corrections that the champion has not seen are held back to judge by: a third of them; 0 where that is under 30,
// which would judge nothing.
size_t latest_of(size_t unseen);

class TurnReport {
 public:
  explicit TurnReport(const Ai& champion);

  nlohmann::json body;
  void curated(const Curated& curated, const std::vector<Correction>& corrections);
  // The report with its verdict and what the turn cost.
  nlohmann::json close(std::string verdict);
  // What is packed with the challenger: how it came about, and nobody's name.
  nlohmann::json packed(const std::string& verdict) const;

 private:
  std::chrono::steady_clock::time_point start_;
  double cpu_;
};

}  // namespace ingot
