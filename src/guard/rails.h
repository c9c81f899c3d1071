// All rails of one AI on one text: length, private data, words and patterns, topic. The first that blocks is named.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guard/rail_mode.h"
#include "guard/topic/topic_rail.h"

namespace ingot {

struct RailSettings {
  RailMode topic = RailMode::off, private_data = RailMode::off;
  std::vector<std::string> words;  // RE2 patterns, matched without case; block
  uint64_t longest = 0;            // bytes; 0: any
  std::string purpose;             // for the reason that a person reads
};

// What RE2 says against the pattern; empty if it is one.
std::string pattern_fault(const std::string& pattern);

struct Verdict {
  bool allowed = true;
  std::string rail;              // the rail that blocked: "length", "private_data", "words", "topic"; empty if none
  std::string reason;            // for a person; empty if nothing was found
  std::optional<double> score;   // the topic rail's probability that the text is on topic, if it ran
  std::optional<double> excess;  // the topic rail's log-odds over its threshold
  std::vector<std::string> watched;  // what rails in watch mode would have said
  std::string text;              // the text to go on with: masked where the recipe says so
  double ms = 0;                 // spent in the rails
};

class Rails {
 public:
  Rails() = default;  // every rail off
  Rails(RailSettings settings, std::optional<TopicRail> topic);

  // Never throws: a rail that fails blocks, and the reason says so. Thread-safe.
  Verdict check(const std::string& text) const;

  const RailSettings& settings() const { return settings_; }
  bool any() const;
  // Null if the AI has none, or it cannot run here (then check() blocks).
  const TopicRail* topic() const { return topic_ ? &*topic_ : nullptr; }

  std::string save() const;
  // Throws Error (altered). A missing encoder does not throw: the topic rail blocks everything then.
  static Rails load(std::span<const std::byte> bytes, std::span<const std::shared_ptr<const TextEncoder>> encoders);

 private:
  struct Patterns;
  void prepare();
  RailSettings settings_;
  std::optional<TopicRail> topic_;
  std::string topic_fault_;  // why the topic rail cannot run
  std::shared_ptr<const Patterns> patterns_;
};

}  // namespace ingot
