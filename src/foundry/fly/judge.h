// Is a challenger better than the champion where it should be, and worse nowhere that matters?
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foundry/fly/fly_kind.h"

namespace ingot {

// A case that the owner has fixed: what the champion has right there, a challenger may not lose.
struct FixedCase {
  std::string text, name, component;  // component may be empty
};

// Reads one JSON object a line: {"input", "label"} where label is a name, or {"engineer", "component"}. Throws Error with the line.
std::vector<FixedCase> read_fixed_cases(const std::string& lines, const std::string& where);

struct Comparison {
  std::string set, measure;  // "held-out" or "latest corrections"; "first name", "among five", "component"
  size_t records = 0;
  double champion = 0, challenger = 0;  // shares that were right
  double mean = 0, low = 0, high = 0;   // of the difference, 95 %, paired bootstrap
  bool lost = false;
};

class Judge {
 public:
  Judge(const FlyKind& kind, double may_lose) : kind_(kind), may_lose_(may_lose) {}

  // Paired on the same records, none of which either has learnt from. may_forget: 0, or for records that are older than what was learnt
  // last the share of what the champion has right there that may be lost: an AI that follows the present knows less about the past.
  void compare(const std::string& set, const std::vector<Record>& records, const FlyModel& champion, const FlyModel& challenger, double may_forget = 0);
  void fixed(const std::vector<FixedCase>& cases, const FlyModel& champion, const FlyModel& challenger);
  // Medians over the same texts, asked turn about.
  void speed(const std::vector<Record>& records, const FlyModel& champion, const FlyModel& challenger);
  void size(uint64_t champion, uint64_t challenger);  // bytes of the files

  const std::vector<Comparison>& comparisons() const { return comparisons_; }
  const std::vector<std::string>& losses() const { return losses_; }  // in words; empty: none
  nlohmann::json report() const;

 private:
  const FlyKind& kind_;
  double may_lose_;
  std::vector<Comparison> comparisons_;
  std::vector<std::string> losses_;
  size_t fixed_ = 0, fixed_champion_ = 0, fixed_challenger_ = 0;
  double champion_ms_ = 0, challenger_ms_ = 0;
  uint64_t champion_bytes_ = 0, challenger_bytes_ = 0;
};

}  // namespace ingot
