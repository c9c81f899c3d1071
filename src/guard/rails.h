// All rails of one AI on one text. The first that blocks is named; every one that ran is listed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guard/injection/injection_rail.h"
#include "guard/private_data.h"
#include "guard/rail_mode.h"
#include "guard/topic/topic_rail.h"

namespace ingot {

struct RailSettings {
  // On what is asked.
  RailMode topic = RailMode::off, private_data = RailMode::off;
  std::vector<std::string> words;  // RE2 patterns, matched without case; block, at every stage
  uint64_t longest = 0;            // bytes; 0: any
  std::string purpose;             // for the reason that a person reads
  RailMode injection = RailMode::off, language = RailMode::off, repetition = RailMode::off;
  std::vector<std::string> languages;  // that are spoken here, as ISO 639-1 codes; empty: any
  // On documents and the results of tools.
  RailMode retrieved_injection = RailMode::off, retrieved_private_data = RailMode::off;
  // On what is answered.
  RailMode output_topic = RailMode::off, output_private_data = RailMode::off, output_language = RailMode::off, output_repetition = RailMode::off, grounding = RailMode::off;
  uint64_t output_longest = 0;     // bytes of an answer; 0: any
  std::string encoder;             // the sentence encoder that the topic rail was trained with beside the word vectors; empty: none
  std::vector<std::string> open;   // names of rails that let pass when they cannot run; none unless the owner says so

  RailMode mode(RailKind kind, RailStage stage) const;  // words and length: block or off
  bool opens(RailKind kind) const;
};

// What RE2 says against the pattern; empty if it is one.
std::string pattern_fault(const std::string& pattern);

// What one rail said.
struct RailFinding {
  RailKind rail;
  RailMode mode;
  bool hit = false;                 // it would block (or masked)
  bool failed = false;              // it could not run
  std::optional<double> score, threshold;
  std::string reason;               // empty unless hit
};

struct Verdict {
  bool allowed = true;
  std::string rail;              // the rail that blocked: "length", "private_data", "words", "topic", ...; empty if none
  std::string reason;            // for a person; empty if nothing was found
  std::optional<double> score;   // the topic rail's probability that the text is on topic, if it ran; else of the rail that blocked
  std::optional<double> excess;  // the topic rail's log-odds over its threshold
  std::vector<std::string> watched;  // what rails in watch mode would have said
  std::vector<RailFinding> findings; // every rail that ran
  std::string text;              // the text to go on with: masked where the recipe says so
  double ms = 0;                 // spent in the rails
};

// How often, since the rails were opened.
struct RailCount {
  RailKind rail;
  RailStage stage;
  uint64_t checked, blocked, watched, masked, failed;
};

class Rails {
 public:
  Rails() = default;  // every rail off
  // plain_topic: what judges topics where an encoder of `topic` is missing; without it the rail blocks everything there.
  Rails(RailSettings settings, std::optional<TopicRail> topic, std::shared_ptr<const InjectionRail> injection = nullptr, std::optional<TopicRail> plain_topic = std::nullopt);

  // What is asked. earlier: what the same person asked before in this conversation, oldest first; a question that only makes
  // sense behind them is judged with them. Never throws: a rail that fails blocks, and the reason says so. Thread-safe.
  Verdict check(const std::string& text, std::span<const std::string> earlier = {}) const;
  // A document, or what a tool gave. Thread-safe, never throws.
  Verdict check_retrieved(const std::string& text) const;
  // An answer as a whole; what streams passes make_release_gate(). Thread-safe, never throws.
  Verdict check_output(const std::string& text, const std::string& question = "", std::span<const std::string> documents = {}) const;

  const RailSettings& settings() const { return settings_; }
  bool any() const;                 // at any stage
  bool any(RailStage stage) const;
  // Does the topic rail lack an encoder? Then the plain one judges, or every check of it fails.
  bool lacks_encoder() const;
  // The one that judges. Null if the AI has none.
  const TopicRail* topic() const { return uses_plain_ ? &*plain_topic_ : topic_ ? &*topic_ : nullptr; }
  // The one that judges a text of so many bytes: a sentence encoder would read a long one for minutes, or see its beginning alone, so the
  // plain rail judges it as a whole.
  const TopicRail* topic(size_t bytes) const { return plain_topic_ && bytes > TopicRail::kLongestEncoded ? &*plain_topic_ : topic(); }
  const InjectionRail* injection() const { return injection_.get(); }

  // The rails that ran at least once. Thread-safe.
  std::vector<RailCount> counts() const;

  std::string save() const;
  // Throws Error (altered). A missing encoder does not throw.
  static Rails load(std::span<const std::byte> bytes, std::span<const std::shared_ptr<const TextEncoder>> encoders);

  // For the gate: runs one rail under the rule that what fails blocks, and counts. `look` fills the finding.
  class Judge;
  // For words that are near each other; null: the rails have no such table.
  const std::shared_ptr<const TextEncoder>& word_encoder() const { return word_encoder_; }
  // Does a pattern of the owner match? text is matched as it is and as a reader sees it. Throws Error.
  bool words_match(std::string_view text) const;

 private:
  struct Patterns;
  struct Counters {
    struct Cell {
      std::atomic<uint64_t> checked{0}, blocked{0}, watched{0}, masked{0}, failed{0};
    };
    std::array<std::array<Cell, kStages>, kRails> cells;
  };
  void prepare();
  void judge_topic(const std::string& text, std::span<const std::string> earlier, Verdict& verdict, RailFinding& finding) const;
  void judge_private(const std::string& text, Verdict& verdict, RailFinding& finding) const;

  RailSettings settings_;
  std::optional<TopicRail> topic_, plain_topic_;
  bool uses_plain_ = false;
  std::shared_ptr<const InjectionRail> injection_;
  std::string topic_fault_, injection_fault_;  // why it cannot run
  std::shared_ptr<const Patterns> patterns_;
  std::shared_ptr<const TextEncoder> word_encoder_;
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
};

// Runs the rails of one stage on one text (or piece of an answer) and keeps the verdict.
class Rails::Judge {
 public:
  Judge(const Rails& rails, RailStage stage) : rails_(rails), stage_(stage) {}
  // look(finding): sets hit, score, threshold, reason; what it throws is a failure.
  template <typename Look>
  void run(RailKind kind, Look&& look) {
    const RailMode mode = rails_.settings_.mode(kind, stage_);
    if (mode == RailMode::off) return;
    RailFinding finding{kind, mode, false, false, {}, {}, ""};
    try {
      look(finding);
    } catch (const std::exception& error) {
      fail(finding, error.what());
    }
    settle(std::move(finding));
  }
  Verdict verdict;

 private:
  void fail(RailFinding& finding, const char* what) const;
  void settle(RailFinding finding);
  const Rails& rails_;
  RailStage stage_;
};

// "card (2 times), e-mail"
std::string kinds_of(const std::vector<PrivateSpan>& spans);

}  // namespace ingot
