// What `ingot new` says about data before anything is built: what is there, what can be made of it, and what it would gain.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "foundry/record.h"

namespace ingot {

struct LearningPoint {
  size_t records = 0;   // learnt from
  double ai = 0;        // right at the first name, from the text alone
  double majority = 0;  // always the most common
  double look_up = 0;   // the plain look-up of the proposal
  double seconds = 0;   // to train
};

// One kind of AI that this data could become, tried on a subsample.
struct Proposal {
  std::string kind;                  // triage | classify
  std::string look_up;               // what a person would do without an AI
  std::vector<LearningPoint> curve;  // rising records; empty if there is too little even to try
  size_t tested = 0;                 // records each point was judged on
  bool worth_it = false;
  std::string verdict;               // one sentence
  double build_seconds = 0;          // expected for the records that the proposed recipe takes

  double gain() const { return curve.empty() ? 0 : curve.back().ai - std::max(curve.back().majority, curve.back().look_up); }
};

struct DataProfile {
  size_t records = 0, people = 0, components = 0, labels = 0, duplicates = 0, not_latin = 0;
  std::map<std::string, size_t> private_data;  // kind -> records that hold some
  int64_t first = 0, last = 0;                 // seconds since 1970; 0 without times
  std::vector<Proposal> proposals;             // the one worth most first; never empty
};

// records: oldest first, each with an engineer, a label or both. Curves are measured on 5,000 records at most: the newest, or
// drawn by chance where there are no times.
DataProfile profile(const std::vector<Record>& records);

// A commented recipe.toml for the first proposal.
std::string propose_recipe(const DataProfile& profile, const std::string& name, const std::vector<std::string>& sources, const std::string& map);

}  // namespace ingot
