// What `ingot new` says about data before anything is built: what is there, what can be made of it, and what it would gain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "foundry/record.h"

namespace ingot {

struct LearningPoint {
  size_t records = 0;          // learnt from
  double ai = 0;               // engineer top-1, from the text alone
  double majority = 0;         // always the busiest
  double last_toucher = 0;     // of the predicted component
  double seconds = 0;          // to train
};

struct DataProfile {
  size_t records = 0, people = 0, components = 0, duplicates = 0, with_addresses = 0, not_latin = 0;
  int64_t first = 0, last = 0;         // seconds since 1970
  std::vector<LearningPoint> curve;    // empty if there is too little even to try
  size_t tested = 0;                   // bugs each point was judged on: the newest of the subsample
  bool worth_it = false;
  std::string verdict;                 // one sentence
  double build_seconds = 0;            // expected for all records
};

// records: oldest first. The curve is measured on the newest 5,000 at most.
DataProfile profile(const std::vector<Record>& records);

// A commented recipe.toml for this data.
std::string propose_recipe(const DataProfile& profile, const std::string& name, const std::vector<std::string>& sources, const std::string& map);

}  // namespace ingot
