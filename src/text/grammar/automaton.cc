#include "text/grammar/automaton.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>

#include "core/error.h"
#include "text/grammar/source_reader.h"

namespace ingot::grammar {

using Kind = Expr::Kind;

// Thompson's construction rule by rule, then subsets where they stay small.
class AutomatonBuilder {
 public:
  explicit AutomatonBuilder(const Grammar& grammar) : grammar_(grammar) {}

  std::shared_ptr<const Automaton> build() {
    find_inlined();
    for (size_t r = 0; r < rule_count(); ++r) {
      nfa_.clear();
      int32_t start = fresh(), end = fresh();
      compile(*body(r), start, end, 0);
      starts_.push_back(determinise(start, end));
    }
    prune();
    refuse_left_recursion();
    return finish();
  }

 private:
  struct Node {
    std::vector<Automaton::Edge> edges;
    std::vector<Automaton::Call> calls;
    std::vector<int32_t> empty;  // moves without a byte
    bool final = false;
  };

  size_t rule_count() const { return grammar_.rules.size() + extra_.size(); }
  const Expr* body(size_t r) const { return r < grammar_.rules.size() ? grammar_.rules[r].body.get() : extra_[r - grammar_.rules.size()].get(); }
  std::string name(size_t r) const { return r < grammar_.rules.size() ? grammar_.rules[r].name : "a repeated part"; }

  int32_t fresh() {
    if (static_cast<int64_t>(nfa_.size() + states_.size()) >= Automaton::kMaxStates)
      bad_input("the grammar takes more than " + std::to_string(Automaton::kMaxStates) + " states", "grammar", "repeat fewer times, or nest less");
    nfa_.emplace_back();
    return static_cast<int32_t>(nfa_.size() - 1);
  }
  Node& node(int32_t n) { return nfa_[static_cast<size_t>(n)]; }

  // Rules that match short texts only are put where they are used: a call in a loop over characters would cost at each of them.
  void find_inlined() {
    sizes_.assign(grammar_.rules.size(), 0);
    for (size_t r = 0; r < grammar_.rules.size(); ++r) size_of_rule(static_cast<int32_t>(r), 0);
  }
  static constexpr int64_t kInline = 64, kFar = 1 << 30;

  int64_t size_of_rule(int32_t r, int depth) {
    int64_t& size = sizes_[static_cast<size_t>(r)];
    if (size == 0) {
      size = kFar;  // while it is looked at: recursion is far
      if (depth < kMaxNesting) size = std::max<int64_t>(1, size_of(*grammar_.rules[static_cast<size_t>(r)].body, depth + 1));
    }
    return size;
  }
  int64_t size_of(const Expr& e, int depth) {
    if (depth > 2 * kMaxNesting) return kFar;
    int64_t sum = 0;
    switch (e.kind) {
      case Kind::kText: return static_cast<int64_t>(e.text.size());
      case Kind::kClass: return 1 + static_cast<int64_t>(e.ranges.size());
      case Kind::kRule: return size_of_rule(e.rule, depth);
      case Kind::kRepeat: return e.most < 0 ? kFar : std::min(kFar, size_of(*e.parts[0], depth + 1) * std::max(1, e.most));
      default:
        for (const auto& p : e.parts) sum = std::min(kFar, sum + size_of(*p, depth + 1));
        return sum;
    }
  }

  void compile(const Expr& e, int32_t from, int32_t to, int depth) {
    if (depth > 4 * kMaxNesting) bad_input("the grammar is nested too deeply", "grammar", "give inner parts names");
    switch (e.kind) {
      case Kind::kText: {
        for (size_t i = 0; i < e.text.size(); ++i) {
          auto byte = static_cast<uint8_t>(e.text[i]);
          int32_t next = fresh();
          node(from).edges.push_back({byte, byte, next});
          from = next;
        }
        node(from).empty.push_back(to);
        return;
      }
      case Kind::kClass: {
        std::vector<std::vector<ByteRange>> sequences;
        for (const CodeRange& r : intersection(e.ranges, {{0, 0xd7ff}, {0xe000, 0x10ffff}})) utf8_sequences(r, sequences);
        std::map<std::vector<std::pair<uint8_t, uint8_t>>, int32_t> ends;  // sequences with the same rest share it
        std::function<int32_t(const std::vector<ByteRange>&, size_t)> rest = [&](const std::vector<ByteRange>& s, size_t i) {
          if (i == s.size()) return to;
          std::vector<std::pair<uint8_t, uint8_t>> key;
          for (size_t k = i; k < s.size(); ++k) key.push_back({s[k].low, s[k].high});
          if (auto it = ends.find(key); it != ends.end()) return it->second;
          int32_t next = rest(s, i + 1), here = fresh();
          node(here).edges.push_back({s[i].low, s[i].high, next});
          return ends[key] = here;
        };
        for (const auto& s : sequences) {
          int32_t next = rest(s, 1);
          node(from).edges.push_back({s[0].low, s[0].high, next});
        }
        return;
      }
      case Kind::kSequence:
        for (const auto& p : e.parts) {
          int32_t next = fresh();
          compile(*p, from, next, depth + 1);
          from = next;
        }
        node(from).empty.push_back(to);
        return;
      case Kind::kChoice:
        for (const auto& p : e.parts) {
          int32_t start = fresh();
          node(from).empty.push_back(start);
          compile(*p, start, to, depth + 1);
        }
        return;
      case Kind::kRepeat: return compile_repeat(e, from, to, depth);
      case Kind::kRule:
        if (size_of_rule(e.rule, 0) <= kInline) return compile(*grammar_.rules[static_cast<size_t>(e.rule)].body, from, to, depth + 1);
        node(from).calls.push_back({e.rule, to});
        return;
    }
  }

  void compile_repeat(const Expr& e, int32_t from, int32_t to, int depth) {
    ExprPtr part = e.parts[0];
    int copies = e.most < 0 ? e.least + 1 : e.most;
    if (copies > 2 && size_of(*part, 0) > kInline && part->kind != Kind::kRule) {  // the copies call one rule
      extra_.push_back(part);
      part = rule(static_cast<int32_t>(rule_count() - 1));
      sizes_.resize(rule_count(), 0);
      sizes_.back() = kFar;
    }
    auto once = [&](int32_t at) {
      int32_t next = fresh();
      if (part->kind == Kind::kRule && static_cast<size_t>(part->rule) >= grammar_.rules.size()) node(at).calls.push_back({part->rule, next});
      else compile(*part, at, next, depth + 1);
      return next;
    };
    for (int32_t i = 0; i < e.least; ++i) from = once(from);
    if (e.most < 0) {
      int32_t loop = fresh();
      node(from).empty.push_back(loop);
      int32_t back = once(loop);
      node(back).empty.push_back(loop);
      node(loop).empty.push_back(to);
      return;
    }
    for (int32_t i = e.least; i < e.most; ++i) {
      node(from).empty.push_back(to);
      from = once(from);
    }
    node(from).empty.push_back(to);
  }

  void close(std::vector<int32_t>& set) {
    for (size_t i = 0; i < set.size(); ++i)
      for (int32_t next : node(set[i]).empty)
        if (mark_[static_cast<size_t>(next)] != round_) {
          mark_[static_cast<size_t>(next)] = round_;
          set.push_back(next);
        }
    std::sort(set.begin(), set.end());
  }
  std::vector<int32_t> closed(std::vector<int32_t> set) {
    ++round_;
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
    for (int32_t s : set) mark_[static_cast<size_t>(s)] = round_;
    close(set);
    return set;
  }

  // Appends the rule's states to states_; returns its first. Beyond the limit of subsets the states stay as they are, without the
  // moves that take no byte.
  int32_t determinise(int32_t start, int32_t end) {
    mark_.assign(nfa_.size(), 0);
    round_ = 0;
    const size_t first = states_.size(), limit = first + 2 * nfa_.size() + 1000;
    int64_t work = 0;
    std::map<std::vector<int32_t>, int32_t> known;
    std::vector<const std::vector<int32_t>*> queue;
    auto intern = [&](std::vector<int32_t> set) {
      auto [it, fresh] = known.emplace(std::move(set), static_cast<int32_t>(states_.size()));
      if (fresh) {
        states_.emplace_back();
        queue.push_back(&it->first);
      }
      return it->second;
    };
    intern(closed({start}));
    for (size_t i = 0; i < queue.size(); ++i) {
      const std::vector<int32_t>& set = *queue[i];
      work += static_cast<int64_t>(set.size());
      if (states_.size() > limit || work > 20'000'000) {
        states_.resize(first);
        return keep(start, end);
      }
      Node made;
      std::map<int32_t, std::vector<int32_t>> calls;
      std::vector<int> cuts;
      for (int32_t n : set) {
        made.final |= n == end;
        for (const auto& c : node(n).calls) calls[c.rule].push_back(c.next);
        for (const auto& e : node(n).edges) cuts.push_back(e.low), cuts.push_back(e.high + 1);
      }
      std::sort(cuts.begin(), cuts.end());
      cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
      for (size_t c = 0; c + 1 < cuts.size(); ++c) {
        std::vector<int32_t> targets;
        for (int32_t n : set)
          for (const auto& e : node(n).edges)
            if (e.low <= cuts[c] && cuts[c] <= e.high) targets.push_back(e.next);
        if (targets.empty()) continue;
        int32_t next = intern(closed(std::move(targets)));
        auto low = static_cast<uint8_t>(cuts[c]), high = static_cast<uint8_t>(cuts[c + 1] - 1);
        if (!made.edges.empty() && made.edges.back().next == next && made.edges.back().high + 1 == low) made.edges.back().high = high;
        else made.edges.push_back({low, high, next});
      }
      for (auto& [rule, targets] : calls) made.calls.push_back({rule, intern(closed(std::move(targets)))});
      states_[first + i] = std::move(made);
    }
    return static_cast<int32_t>(first);
  }

  int32_t keep(int32_t start, int32_t end) {
    const auto first = static_cast<int32_t>(states_.size());
    for (int32_t n = 0; n < static_cast<int32_t>(nfa_.size()); ++n) {
      Node made;
      for (int32_t m : closed({n})) {
        made.final |= m == end;
        for (auto e : node(m).edges) made.edges.push_back({e.low, e.high, e.next + first});
        for (auto c : node(m).calls) made.calls.push_back({c.rule, c.next + first});
      }
      states_.push_back(std::move(made));
      if (static_cast<int64_t>(states_.size()) > Automaton::kMaxStates)
        bad_input("the grammar takes more than " + std::to_string(Automaton::kMaxStates) + " states", "grammar", "repeat fewer times, or nest less");
    }
    return first + start;
  }

  // Takes out what can never reach the end of its rule; refuses when that is the whole text.
  void prune() {
    const size_t n = states_.size();
    std::vector<bool> ends(n, false), productive(rule_count(), false);
    for (bool changed = true; changed;) {
      changed = false;
      std::vector<std::vector<int32_t>> before(n);
      std::vector<int32_t> queue;
      for (size_t s = 0; s < n; ++s) {
        for (const auto& e : states_[s].edges) before[static_cast<size_t>(e.next)].push_back(static_cast<int32_t>(s));
        for (const auto& c : states_[s].calls)
          if (productive[static_cast<size_t>(c.rule)]) before[static_cast<size_t>(c.next)].push_back(static_cast<int32_t>(s));
        if (states_[s].final || ends[s]) {
          ends[s] = true;
          queue.push_back(static_cast<int32_t>(s));
        }
      }
      for (size_t i = 0; i < queue.size(); ++i)
        for (int32_t b : before[static_cast<size_t>(queue[i])])
          if (!ends[static_cast<size_t>(b)]) {
            ends[static_cast<size_t>(b)] = true;
            queue.push_back(b);
          }
      for (size_t r = 0; r < rule_count(); ++r)
        if (!productive[r] && ends[static_cast<size_t>(starts_[r])]) productive[r] = changed = true;
    }
    if (!productive[static_cast<size_t>(grammar_.root)])
      bad_input("no text can ever satisfy it: the rule \"" + name(static_cast<size_t>(grammar_.root)) + "\" has no end", "grammar", "give its recursion a way out, or one of its alternatives room");
    for (Node& s : states_) {
      std::erase_if(s.edges, [&](const auto& e) { return !ends[static_cast<size_t>(e.next)]; });
      std::erase_if(s.calls, [&](const auto& c) { return !productive[static_cast<size_t>(c.rule)] || !ends[static_cast<size_t>(c.next)]; });
    }
  }

  void refuse_left_recursion() {
    std::vector<bool> nullable(rule_count(), false);
    auto beginning = [&](size_t r) {  // states reached without a byte
      std::vector<int32_t> set{starts_[r]};
      for (size_t i = 0; i < set.size(); ++i)
        for (const auto& c : states_[static_cast<size_t>(set[i])].calls)
          if (nullable[static_cast<size_t>(c.rule)] && std::find(set.begin(), set.end(), c.next) == set.end()) set.push_back(c.next);
      return set;
    };
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t r = 0; r < rule_count(); ++r) {
        if (nullable[r]) continue;
        for (int32_t s : beginning(r))
          if (states_[static_cast<size_t>(s)].final) nullable[r] = changed = true;
      }
    }
    std::vector<int> seen(rule_count(), 0);  // 1: being looked at, 2: done
    std::vector<std::pair<size_t, std::vector<int32_t>>> path;
    auto enter = [&](size_t r) {
      seen[r] = 1;
      std::vector<int32_t> first;
      for (int32_t s : beginning(r))
        for (const auto& c : states_[static_cast<size_t>(s)].calls) first.push_back(c.rule);
      path.push_back({r, std::move(first)});
    };
    for (size_t r = 0; r < rule_count(); ++r) {
      if (seen[r]) continue;
      enter(r);
      while (!path.empty()) {
        if (path.back().second.empty()) {
          seen[path.back().first] = 2;
          path.pop_back();
          continue;
        }
        auto next = static_cast<size_t>(path.back().second.back());
        path.back().second.pop_back();
        if (seen[next] == 1)
          bad_input("the rule \"" + name(next) + "\" begins with itself", "grammar", "write the recursion at its end instead, or as a repetition");
        if (!seen[next]) enter(next);
      }
    }
  }

  std::shared_ptr<const Automaton> finish() {
    auto out = std::make_shared<Automaton>();
    for (const Node& s : states_) {
      Automaton::State state{static_cast<int32_t>(out->edges_.size()), 0, static_cast<int32_t>(out->calls_.size()), 0, s.final,
                             s.final && s.edges.empty() && s.calls.empty()};
      out->edges_.insert(out->edges_.end(), s.edges.begin(), s.edges.end());
      out->calls_.insert(out->calls_.end(), s.calls.begin(), s.calls.end());
      state.edges_end = static_cast<int32_t>(out->edges_.size());
      state.calls_end = static_cast<int32_t>(out->calls_.size());
      out->states_.push_back(state);
    }
    out->starts_ = starts_;
    out->root_ = grammar_.root;
    return out;
  }

  const Grammar& grammar_;
  std::vector<ExprPtr> extra_;  // rules made of repeated parts
  std::vector<int64_t> sizes_;
  std::vector<Node> nfa_;       // of the rule at hand
  std::vector<Node> states_;    // of all rules
  std::vector<int32_t> starts_;
  std::vector<int32_t> mark_;
  int32_t round_ = 0;
};

std::shared_ptr<const Automaton> Automaton::compile(const Grammar& grammar) { return AutomatonBuilder(grammar).build(); }

std::vector<int32_t> Automaton::classes(int bytes) const {
  struct Pair {
    uint64_t a, b;
    bool operator==(const Pair&) const = default;
  };
  struct Hash {
    size_t operator()(const Pair& p) const { return p.a; }
  };
  auto mix = [](Pair& h, uint64_t v) {
    h.a = (h.a ^ v) * 0xff51afd7ed558ccdu;
    h.a ^= h.a >> 29;
    h.b = (h.b + v) * 0x9e3779b97f4a7c15u;
    h.b ^= h.b >> 31;
  };
  std::vector<int32_t> out(states_.size(), 0), next(states_.size());
  if (static_cast<int64_t>(states_.size() + edges_.size()) * bytes > 40'000'000) {  // too long to refine: each is its own
    for (size_t s = 0; s < out.size(); ++s) out[s] = static_cast<int32_t>(s);
    return out;
  }
  size_t count = 1;
  for (int round = 0; round <= bytes; ++round) {
    std::unordered_map<Pair, int32_t, Hash> known;
    for (size_t s = 0; s < states_.size(); ++s) {
      Pair h{static_cast<uint64_t>(out[s]) + 1, states_[s].final ? 7u : 3u};
      for (const Edge& e : edges(states_[s])) {
        mix(h, static_cast<uint64_t>(e.low) << 8 | e.high);
        mix(h, static_cast<uint64_t>(out[static_cast<size_t>(e.next)]) + 1000);
      }
      for (const Call& c : calls(states_[s])) {
        mix(h, static_cast<uint64_t>(c.rule) + (uint64_t{1} << 40));
        mix(h, static_cast<uint64_t>(out[static_cast<size_t>(c.next)]) + 1000);
      }
      next[s] = known.emplace(h, static_cast<int32_t>(known.size())).first->second;
    }
    out.swap(next);
    if (known.size() == count) break;
    count = known.size();
  }
  return out;
}

}  // namespace ingot::grammar
