// Follows a text through an automaton, and says which pieces of a vocabulary may come next.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/byte_trie.h"

namespace ingot::grammar {

// Where a reading stands: a state, and where the rules that called this one go on (an index into Stacks; -1: none did).
struct Thread {
  int32_t state, stack;
  auto operator<=>(const Thread&) const = default;
};

// All readings of the text so far. None left: the text has left the language.
struct Readings {
  std::vector<Thread> threads;  // sorted; each can take a byte
  bool whole = false;           // the text may end here
  bool operator==(const Readings&) const = default;
  bool dead() const { return threads.empty() && !whole; }
};

// Return addresses in linked frames, each pair of (address, frame below) once.
class Stacks {
 public:
  int32_t push(int32_t back, int32_t below);
  int32_t back(int32_t s) const { return frames_[static_cast<size_t>(s)].first; }
  int32_t below(int32_t s) const { return frames_[static_cast<size_t>(s)].second; }
  size_t size() const { return frames_.size(); }
  void truncate(size_t size);  // forgets what was pushed since
  void keep_only(std::vector<Thread>& used);  // forgets what is not reached from here, and renumbers

 private:
  std::vector<std::pair<int32_t, int32_t>> frames_;
  std::unordered_map<uint64_t, int32_t> index_;
};

// Moves of readings; scratch memory lives here.
class Stepper {
 public:
  explicit Stepper(const Automaton& automaton) : automaton_(automaton) {}
  static constexpr size_t kMaxThreads = 10000;  // beyond, the grammar is too ambiguous: Error (input)

  void begin(int32_t state, int32_t stack, Stacks& stacks, Readings& out);  // replaces out
  void step(const Readings& from, uint8_t byte, Stacks& stacks, Readings& out);  // out must not be from

 private:
  void spread(Stacks& stacks, Readings& out);
  const Automaton& automaton_;
  std::vector<Thread> todo_;
};

// What a state lets follow, whoever called its rule: computed once a class of states, at first use or ahead.
struct LocalMask {
  std::vector<int32_t> few;     // pieces that stay within the rule (or end with it), when they are few;
  std::vector<uint64_t> many;   // else a bit a piece
  std::vector<std::pair<std::string_view, int32_t>> tails;  // what is left of a piece where the rule ends within it
  ByteTrie tail_trie;
};

// A grammar made ready for a vocabulary; shared by all sequences that use it, any thread.
class CompiledGrammar {
 public:
  // `pieces` by id must live as long; an empty one is never allowed. Masks are computed ahead for `ahead_s` seconds at most.
  CompiledGrammar(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const ByteTrie> vocabulary, std::vector<std::string_view> pieces,
                  double ahead_s);
  ~CompiledGrammar();

  const Automaton& automaton() const { return *automaton_; }
  std::string_view piece(int32_t id) const { return pieces_[static_cast<size_t>(id)]; }
  size_t size() const { return pieces_.size(); }
  const LocalMask& local(int32_t state) const;
  int64_t local_masks() const { return made_; }  // computed so far

 private:
  std::unique_ptr<LocalMask> make(int32_t state) const;
  std::shared_ptr<const Automaton> automaton_;
  std::shared_ptr<const ByteTrie> vocabulary_;
  std::vector<std::string_view> pieces_;
  std::vector<int32_t> classes_;
  mutable std::vector<std::atomic<const LocalMask*>> masks_;  // by class; owns
  mutable std::atomic<int64_t> made_ = 0;
  mutable std::mutex mutex_;
};

// One text's way through a grammar. Copies go on independently.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const CompiledGrammar> grammar);

  // A bit a piece that may come next.
  const std::vector<uint64_t>& allowed();
  bool accept(std::string_view bytes);  // false when they leave the language; the matcher is of no use then
  bool may_end() const { return now_.whole; }
  const CompiledGrammar& grammar() const { return *grammar_; }

 private:
  void follow_tails(const LocalMask& local, int32_t stack);
  struct Known {
    Readings readings;
    std::vector<uint64_t> allowed;
  };
  std::shared_ptr<const CompiledGrammar> grammar_;
  Stepper stepper_;
  Stacks stacks_;
  Readings now_, next_;
  std::vector<uint64_t> allowed_;
  std::vector<Readings> path_;        // of a walk, by depth
  std::vector<Known> known_;          // masks of late, by where they stood
  size_t oldest_ = 0;
};

}  // namespace ingot::grammar
