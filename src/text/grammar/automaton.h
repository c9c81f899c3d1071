// A grammar as machines over bytes, one a rule, that call each other.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "text/grammar/grammar.h"

namespace ingot::grammar {

// Immutable. Every state can still reach the end of its rule, no rule begins with a call of itself, and no rule is empty.
class Automaton {
 public:
  // Throws Error (input) for left recursion, a rule without end, or more states than kMaxStates.
  static std::shared_ptr<const Automaton> compile(const Grammar& grammar);
  static constexpr int64_t kMaxStates = 200000;

  struct Edge {
    uint8_t low, high;  // bytes, both included
    int32_t next;
  };
  struct Call {
    int32_t rule, next;
  };
  struct State {
    int32_t edges, edges_end, calls, calls_end;
    bool final;  // the rule may end here
    bool tail;   // and does nothing else
  };

  int32_t size() const { return static_cast<int32_t>(states_.size()); }
  const State& state(int32_t s) const { return states_[static_cast<size_t>(s)]; }
  std::span<const Edge> edges(const State& s) const { return {edges_.data() + s.edges, edges_.data() + s.edges_end}; }
  std::span<const Call> calls(const State& s) const { return {calls_.data() + s.calls, calls_.data() + s.calls_end}; }
  int32_t start(int32_t rule) const { return starts_[static_cast<size_t>(rule)]; }
  int32_t root() const { return start(root_); }

  // Numbers the states so that two of the same number treat every text of up to `bytes` bytes alike (Moore's refinement, cut off).
  std::vector<int32_t> classes(int bytes) const;

 private:
  friend class AutomatonBuilder;
  std::vector<State> states_;
  std::vector<Edge> edges_;
  std::vector<Call> calls_;
  std::vector<int32_t> starts_;  // by rule
  int32_t root_ = 0;
};

// The UTF-8 of a range of code points as sequences of byte ranges.
struct ByteRange {
  uint8_t low, high;
};
void utf8_sequences(CodeRange range, std::vector<std::vector<ByteRange>>& out);

}  // namespace ingot::grammar
