#include "guard/follow_up.h"

#include <algorithm>
#include <array>
#include <vector>

#include "text/normalise.h"

namespace ingot {
namespace {

constexpr size_t kLongest = 14;      // words of a follow-up
constexpr double kPlainlyElse = 6;   // log-odds short of the threshold at which a follow-up by itself is about something else

}  // namespace

bool leans_on_earlier(std::string_view text) {
  static constexpr std::string_view kJoining[] = {"and", "or", "but", "also", "then", "so", "what about", "how about", "why", "why not", "really", "are you sure", "ok", "okay", "yes", "no", "same", "instead",
                                                  "what if", "more", "again", "which one", "which ones", "for example", "such as", "explain", "continue", "go on", "tell me more", "is that", "how so", "when", "where",
                                                  "how much", "how many", "how long", "thanks", "thank you", "another", "und", "oder", "warum", "wie", "et", "ou", "pourquoi", "y", "por que", "e", "perche"};
  static constexpr std::string_view kPointing[] = {"it", "that", "this", "they", "them", "those", "these", "there", "he", "she", "him", "her", "one", "ones", "its", "their", "the same", "instead", "too", "else", "das", "es", "ça", "cela", "eso"};
  const std::string seen = " " + normalise_text(text) + " ";
  std::vector<std::string> words(1);
  for (char c : seen) {
    const bool part = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80 || c == '\'';
    if (part) words.back() += c;
    else if (!words.back().empty()) words.emplace_back();
  }
  words.pop_back();
  if (words.empty() || words.size() > kLongest) return words.empty();
  if (words.size() <= 3) return true;
  std::string joined;
  for (const std::string& word : words) joined += word + " ";
  for (std::string_view start : kJoining)
    if (joined.starts_with(std::string(start) + " ")) return true;
  return std::any_of(words.begin(), words.end(), [](const std::string& word) { return std::find(std::begin(kPointing), std::end(kPointing), word) != std::end(kPointing); });
}

double excess_in_conversation(const TopicRail& rail, const std::string& text, std::span<const std::string> earlier) {
  const double alone = rail.excess(text);
  if (alone >= 0 || earlier.empty() || alone < -kPlainlyElse || !leans_on_earlier(text)) return alone;
  // Behind a chain of follow-ups stands the question that they are about.
  constexpr size_t kBack = 4;
  for (size_t back = 1; back <= std::min(kBack, earlier.size()); ++back) {
    const std::string& before = earlier[earlier.size() - back];
    if (rail.excess(before) >= 0) return std::max(alone, rail.excess(before + "\n" + text));
    if (!leans_on_earlier(before)) break;
  }
  return alone;
}

}  // namespace ingot
