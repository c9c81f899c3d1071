#include "guard/follow_up.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <vector>

#include "text/normalise.h"

namespace ingot {
namespace {

constexpr size_t kLongest = 14;      // words of a follow-up

// Words that point, join, ask or are said about anything.
const std::unordered_set<std::string_view>& empty_words() {
  static const std::unordered_set<std::string_view> words = {
      "a", "an", "the", "and", "or", "but", "also", "then", "so", "if", "than", "as", "of", "to", "in", "on", "at", "by", "for", "with", "from", "about", "into", "over", "after", "before", "between", "without", "per",
      "i", "me", "my", "mine", "you", "your", "yours", "he", "him", "his", "she", "her", "hers", "it", "its", "we", "us", "our", "they", "them", "their", "one", "ones", "someone", "something", "anything", "everything", "nothing",
      "this", "that", "these", "those", "there", "here", "who", "whom", "whose", "which", "what", "when", "where", "why", "how", "whether", "is", "are", "was", "were", "be", "been", "being", "am", "do", "does", "did", "done", "doing",
      "have", "has", "had", "will", "would", "can", "could", "should", "shall", "may", "might", "must", "not", "no", "yes", "yeah", "ok", "okay", "please", "thanks", "thank", "sorry", "hello", "hi", "really", "sure", "right", "wrong",
      "again", "instead", "too", "else", "more", "less", "most", "least", "many", "much", "few", "some", "any", "all", "both", "each", "every", "other", "another", "same", "different", "next", "last", "previous", "first", "second",
      "third", "two", "three", "ones", "long", "short", "big", "small", "often", "always", "never", "now", "later", "soon", "today", "tomorrow", "yesterday", "week", "month", "year", "day", "time", "just", "only", "even", "still",
      "get", "got", "give", "go", "going", "make", "made", "take", "takes", "tell", "say", "said", "show", "see", "know", "mean", "means", "think", "want", "need", "like", "try", "use", "help", "work", "works", "happen", "happens",
      "change", "explain", "continue", "add", "put", "let", "cost", "costs", "way", "thing", "things", "kind", "sort", "example", "examples", "case", "question", "answer", "reason", "possible", "better", "worse", "good", "bad", "best",
      "worst", "well", "up", "down", "out", "off", "back", "further", "very", "similar", "don't", "doesn't", "can't", "isn't", "it's", "that's", "what's", "i'm", "wife", "husband", "friend", "instead", "there's", "january", "february",
      "march", "april", "june", "july", "august", "september", "october", "november", "december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
      "und", "oder", "aber", "warum", "wie", "was", "wann", "wo", "das", "es", "die", "der", "dann", "noch", "et", "ou", "pourquoi", "comment", "quand", "cela", "y", "o", "por", "que", "cuando", "como", "e", "perche", "quando"};
  return words;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (char c : normalise_text(text)) {
    const bool part = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80 || c == '\'';
    if (part) words.back() += c;
    else if (!words.back().empty()) words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

}  // namespace

bool leans_on_earlier(std::string_view text) {
  if (text.size() > 512) return false;
  const std::vector<std::string> words = words_of(text);
  if (words.empty() || words.size() > kLongest) return false;
  const auto content = static_cast<size_t>(std::count_if(words.begin(), words.end(), [](const std::string& word) {
    return !empty_words().contains(word) && word.find_first_not_of("0123456789") != std::string::npos;
  }));
  if (content != 1) return content == 0;
  // "what's the weather" is a question of its own; "and in verilog?" is not.
  static constexpr std::string_view kJoining[] = {"and ", "or ", "but ", "also ", "then ", "so ", "what about ", "how about ", "what if ", "same for ", "instead ", "ok and ", "okay and ", "thanks, and ", "und ", "oder ", "et ", "y "};
  const std::string seen = normalise_text(text);
  const std::string_view start = std::string_view(seen).substr(std::min(seen.find_first_not_of(' '), seen.size()));
  return std::any_of(std::begin(kJoining), std::end(kJoining), [&](std::string_view word) { return start.starts_with(word); });
}

double excess_in_conversation(const TopicRail& rail, const std::string& text, std::span<const std::string> earlier) {
  const double alone = rail.excess(text);
  if (alone >= 0 || earlier.empty() || !leans_on_earlier(text)) return alone;
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
