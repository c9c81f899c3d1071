#include "text/grammar/matcher.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <unordered_set>

#include "core/error.h"

namespace ingot::grammar {
namespace {

uint64_t frame_key(int32_t back, int32_t below) { return uint64_t{static_cast<uint32_t>(back)} << 32 | static_cast<uint32_t>(below); }

}  // namespace

int32_t Stacks::push(int32_t back, int32_t below) {
  auto [it, fresh] = index_.emplace(frame_key(back, below), static_cast<int32_t>(frames_.size()));
  if (fresh) frames_.push_back({back, below});
  return it->second;
}

void Stacks::truncate(size_t size) {
  while (frames_.size() > size) {
    index_.erase(frame_key(frames_.back().first, frames_.back().second));
    frames_.pop_back();
  }
}

void Stacks::keep_only(std::vector<Thread>& used) {
  std::vector<int32_t> fresh(frames_.size(), -1);
  for (const Thread& t : used)
    for (int32_t s = t.stack; s >= 0 && fresh[static_cast<size_t>(s)] < 0; s = below(s)) fresh[static_cast<size_t>(s)] = 0;
  auto old = std::move(frames_);
  frames_.clear();
  index_.clear();
  for (size_t s = 0; s < old.size(); ++s)  // a frame stands after the one below it
    if (fresh[s] == 0) fresh[s] = push(old[s].first, old[s].second < 0 ? -1 : fresh[static_cast<size_t>(old[s].second)]);
  for (Thread& t : used)
    if (t.stack >= 0) t.stack = fresh[static_cast<size_t>(t.stack)];
}

void Stepper::begin(int32_t state, int32_t stack, Stacks& stacks, Readings& out) {
  todo_.assign(1, {state, stack});
  spread(stacks, out);
}

void Stepper::step(const Readings& from, uint8_t byte, Stacks& stacks, Readings& out) {
  todo_.clear();
  for (const Thread& t : from.threads)
    for (const auto& e : automaton_.edges(automaton_.state(t.state)))
      if (e.low <= byte && byte <= e.high) todo_.push_back({e.next, t.stack});
  spread(stacks, out);
}

// Follows calls and returns from todo_ until every reading can take a byte.
void Stepper::spread(Stacks& stacks, Readings& out) {
  out.threads.clear();
  out.whole = false;
  std::unordered_set<uint64_t> seen;  // used once the list is long
  for (size_t i = 0; i < todo_.size(); ++i) {
    const Thread t = todo_[i];
    if (todo_.size() < 24) {
      if (std::find(todo_.begin(), todo_.begin() + static_cast<long>(i), t) != todo_.begin() + static_cast<long>(i)) continue;
    } else {
      if (seen.empty())
        for (size_t j = 0; j < i; ++j) seen.insert(frame_key(todo_[j].state, todo_[j].stack));
      if (!seen.insert(frame_key(t.state, t.stack)).second) continue;
      if (seen.size() > kMaxThreads)
        bad_input("the text has more than " + std::to_string(kMaxThreads) + " readings", "grammar", "make the grammar less ambiguous");
    }
    const auto& s = automaton_.state(t.state);
    if (s.edges != s.edges_end) out.threads.push_back(t);
    if (s.final) {
      if (t.stack < 0) out.whole = true;
      else todo_.push_back({stacks.back(t.stack), stacks.below(t.stack)});
    }
    for (const auto& c : automaton_.calls(s))  // a call that ends its rule leaves no frame, so that lists do not pile up
      todo_.push_back({automaton_.start(c.rule), automaton_.state(c.next).tail ? t.stack : stacks.push(c.next, t.stack)});
  }
  if (out.threads.size() > 1) {
    std::sort(out.threads.begin(), out.threads.end());
    out.threads.erase(std::unique(out.threads.begin(), out.threads.end()), out.threads.end());
  }
}

CompiledGrammar::CompiledGrammar(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const ByteTrie> vocabulary,
                                 std::vector<std::string_view> pieces, double ahead_s)
    : automaton_(std::move(automaton)), vocabulary_(std::move(vocabulary)), pieces_(std::move(pieces)),
      classes_(automaton_->classes(2 * vocabulary_->longest + 8)),
      masks_(static_cast<size_t>(*std::max_element(classes_.begin(), classes_.end())) + 1) {
  const auto start = std::chrono::steady_clock::now();
  for (int32_t s = 0; s < automaton_->size(); ++s) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() >= ahead_s) break;
    if (automaton_->state(s).edges != automaton_->state(s).edges_end) local(s);
  }
}

CompiledGrammar::~CompiledGrammar() {
  for (auto& mask : masks_) delete mask.load();
}

const LocalMask& CompiledGrammar::local(int32_t state) const {
  auto& slot = masks_[static_cast<size_t>(classes_[static_cast<size_t>(state)])];
  const LocalMask* mask = slot.load(std::memory_order_acquire);
  if (mask) return *mask;
  auto made = make(state);
  std::lock_guard lock(mutex_);
  if (!slot.load(std::memory_order_relaxed)) {
    slot.store(made.release(), std::memory_order_release);
    ++made_;
  }
  return *slot.load(std::memory_order_relaxed);
}

// Walks the vocabulary from the state with nothing below it: where a reading returns, what is left of the piece is a tail, to be
// looked at with the caller known. Readings are numbered as they appear, so that a walk over a loop is a walk over a table.
std::unique_ptr<LocalMask> CompiledGrammar::make(int32_t state) const {
  auto mask = std::make_unique<LocalMask>();
  Stepper stepper(*automaton_);
  Stacks stacks;
  struct Place {
    Readings readings;
    std::array<int32_t, 256> next;
  };
  std::vector<std::unique_ptr<Place>> places;
  std::map<std::vector<Thread>, int32_t> number[2];  // by `whole`
  auto intern = [&](Readings&& r) {
    auto [it, fresh] = number[r.whole].emplace(r.threads, static_cast<int32_t>(places.size()));
    if (fresh) {
      places.push_back(std::make_unique<Place>());
      places.back()->readings = std::move(r);
      places.back()->next.fill(-2);
    }
    return it->second;
  };
  intern({{{state, -1}}, false});
  std::vector<int32_t> at(static_cast<size_t>(vocabulary_->longest) + 1, -1);  // by depth; -1: no reading is left
  std::vector<uint16_t> ended(at.size(), 0);  // by depth: the depths before it where the rule ended, as a count into `ends`
  std::vector<uint16_t> ends;
  at[0] = 0;
  std::vector<uint64_t> bits(pieces_.size() / 64 + 1, 0);
  int64_t count = 0;
  Readings scratch;
  const auto& nodes = vocabulary_->nodes;
  for (int32_t n = 0; n < static_cast<int32_t>(nodes.size());) {
    const auto& node = nodes[static_cast<size_t>(n)];
    const size_t depth = node.depth;
    int32_t from = at[depth - 1], to = -1;
    ends.resize(ended[depth - 1]);
    if (from >= 0) {
      to = places[static_cast<size_t>(from)]->next[node.byte];
      if (to == -2) {
        stepper.step(places[static_cast<size_t>(from)]->readings, node.byte, stacks, scratch);
        to = scratch.dead() ? -1 : intern(std::move(scratch));
        places[static_cast<size_t>(from)]->next[node.byte] = to;
        scratch = {};
      }
    }
    if (to < 0 && ends.empty()) {
      n = node.after;
      continue;
    }
    at[depth] = to;
    for (int32_t i = node.numbers; i < node.numbers_end; ++i) {
      const int32_t id = vocabulary_->numbers[static_cast<size_t>(i)];
      if (to >= 0) {
        bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
        ++count;
      } else {
        for (uint16_t end : ends) mask->tails.push_back({pieces_[static_cast<size_t>(id)].substr(end), id});
      }
    }
    if (to >= 0 && places[static_cast<size_t>(to)]->readings.whole) ends.push_back(static_cast<uint16_t>(depth));
    ended[depth] = static_cast<uint16_t>(ends.size());
    ++n;
  }
  if (count > static_cast<int64_t>(bits.size()) * 2) {
    mask->many = std::move(bits);
  } else {
    for (size_t w = 0; w < bits.size(); ++w)
      for (uint64_t b = bits[w]; b; b &= b - 1) mask->few.push_back(static_cast<int32_t>(w * 64) + __builtin_ctzll(b));
  }
  mask->tail_trie = ByteTrie::of(std::move(mask->tails));
  mask->tails.clear();
  return mask;
}

Matcher::Matcher(std::shared_ptr<const CompiledGrammar> grammar) : grammar_(std::move(grammar)), stepper_(grammar_->automaton()) {
  stepper_.begin(grammar_->automaton().root(), -1, stacks_, now_);
}

bool Matcher::accept(std::string_view bytes) {
  for (char c : bytes) {
    stepper_.step(now_, static_cast<uint8_t>(c), stacks_, next_);
    std::swap(now_, next_);
    if (now_.dead()) return false;
  }
  if (stacks_.size() > 50000) {
    stacks_.keep_only(now_.threads);
    std::sort(now_.threads.begin(), now_.threads.end());
    known_.clear();  // they name frames by their old numbers
  }
  return true;
}

const std::vector<uint64_t>& Matcher::allowed() {
  for (const Known& k : known_)
    if (k.readings == now_) return k.allowed;
  allowed_.assign(grammar_->size() / 64 + 1, 0);
  for (const Thread& t : now_.threads) {
    const LocalMask& local = grammar_->local(t.state);
    for (int32_t id : local.few) allowed_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
    for (size_t w = 0; w < local.many.size(); ++w) allowed_[w] |= local.many[w];
    if (t.stack >= 0 && !local.tail_trie.nodes.empty()) follow_tails(local, t.stack);
  }
  constexpr size_t kKnown = 16;
  if (known_.size() < kKnown) known_.emplace_back();
  Known& k = known_[known_.size() < kKnown ? known_.size() - 1 : oldest_++ % kKnown];
  k.readings = now_;
  k.allowed = allowed_;
  return k.allowed;
}

// The rule ends within a piece: what is left of it must go on where the caller does.
void Matcher::follow_tails(const LocalMask& local, int32_t stack) {
  const size_t before = stacks_.size();
  if (path_.size() <= static_cast<size_t>(local.tail_trie.longest)) path_.resize(static_cast<size_t>(local.tail_trie.longest) + 1);
  stepper_.begin(stacks_.back(stack), stacks_.below(stack), stacks_, path_[0]);
  const auto& nodes = local.tail_trie.nodes;
  for (int32_t n = 0; n < static_cast<int32_t>(nodes.size());) {
    const auto& node = nodes[static_cast<size_t>(n)];
    Readings& to = path_[node.depth];
    stepper_.step(path_[node.depth - 1], node.byte, stacks_, to);
    if (to.dead()) {
      n = node.after;
      continue;
    }
    for (int32_t i = node.numbers; i < node.numbers_end; ++i) {
      const int32_t id = local.tail_trie.numbers[static_cast<size_t>(i)];
      allowed_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
    }
    ++n;
  }
  stacks_.truncate(before);
}

}  // namespace ingot::grammar
