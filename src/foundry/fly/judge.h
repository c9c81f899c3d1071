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
  std::string set, measure;  // "held-out" or "latest corrections"; "first name", "ROUGE-L", ...
  size_t records = 0;
  double champion = 0, challenger = 0;  // means, 0..1
  double mean = 0, low = 0, high = 0;   // of the difference, 95 %, paired bootstrap
  bool lost = false;
};

// Paired comparisons on what neither has learnt from, and what a challenger may lose.
class Judge {
 public:
  Judge(double may_lose, uint64_t seed) : may_lose_(may_lose), seed_(seed) {}

  // One number in 0..1 a record, of challenger and champion, in the same order. may_forget: 0, or for records that are older than what was
  // learnt last the share of what the champion has right there that may be lost: an AI that follows the present knows less about the past.
  void paired(const std::string& set, const std::string& measure, const std::vector<double>& challenger, const std::vector<double>& champion, double may_forget = 0);
  // Which cases are right, in their order.
  void fixed(const std::vector<FixedCase>& cases, const std::vector<bool>& champion, const std::vector<bool>& challenger);
  void speed(double champion_ms, double challenger_ms);  // of an answer, or of what the kind counts
  void size(uint64_t champion, uint64_t challenger);     // bytes of the files

  const std::vector<Comparison>& comparisons() const { return comparisons_; }
  const std::vector<std::string>& losses() const { return losses_; }  // in words; empty: none
  nlohmann::json report() const;

 private:
  double may_lose_;
  uint64_t seed_;
  std::vector<Comparison> comparisons_;
  std::vector<std::string> losses_;
  size_t fixed_ = 0, fixed_champion_ = 0, fixed_challenger_ = 0;
  double champion_ms_ = 0, challenger_ms_ = 0;
  uint64_t champion_bytes_ = 0, challenger_bytes_ = 0;
};

// The same of models that rank names: first name, among five (triage), component.
void compare_ranking(Judge& judge, const FlyKind& kind, const std::string& set, const std::vector<Record>& records, const FlyModel& champion, const FlyModel& challenger,
                     double may_forget = 0);
void compare_fixed(Judge& judge, const std::vector<FixedCase>& cases, const FlyModel& champion, const FlyModel& challenger);
// Medians over the same texts, asked turn about.
void compare_speed(Judge& judge, const std::vector<Record>& records, const FlyModel& champion, const FlyModel& challenger);

}  // namespace ingot
