#include "guard/sentences.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "guard/ascii.h"

namespace ingot {
namespace {

// Does a full stop at `at` belong to a word such as "e.g." or "Dr."?
bool abbreviation(std::string_view text, size_t at) {
  size_t from = at;
  while (from > 0 && at - from < 12 && (letter(text[from - 1]) || text[from - 1] == '.')) --from;
  std::string word(text.substr(from, at - from));
  for (char& c : word) c |= c >= 'A' && c <= 'Z' ? 0x20 : 0;
  if (word.size() == 1 && word != "i") return true;
  static constexpr std::string_view kKnown[] = {"e.g", "i.e", "dr", "mr", "mrs", "ms", "prof", "st", "vs", "cf", "no", "nr", "fig", "approx", "ca", "inc", "ltd", "apt", "ave", "blvd", "rd", "str", "z.b", "d.h", "u.s", "p.s"};
  return std::find(std::begin(kKnown), std::end(kKnown), word) != std::end(kKnown);
}

}  // namespace

size_t sentence_end(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    size_t after = 0;
    if (text[i] == '\n') {
      after = i + 1;
    } else if (text[i] == '.' || text[i] == '!' || text[i] == '?') {
      after = i + 1;
      while (after < text.size() && (text[after] == '.' || text[after] == '!' || text[after] == '?' || text[after] == '"' || text[after] == '\'' || text[after] == ')' || text[after] == ']')) ++after;
      if (after == text.size()) return std::string_view::npos;
      if (!blank(text[after]) || (text[i] == '.' && after == i + 1 && abbreviation(text, i))) continue;
    } else if (text.substr(i, 3) == "\xe3\x80\x82" || text.substr(i, 3) == "\xef\xbc\x81" || text.substr(i, 3) == "\xef\xbc\x9f") {
      after = i + 3;
    } else {
      continue;
    }
    while (after < text.size() && blank(text[after])) ++after;
    return after;
  }
  return std::string_view::npos;
}

std::vector<std::string_view> sentences_of(std::string_view text, size_t most) {
  std::vector<std::string_view> sentences;
  while (!text.empty()) {
    const size_t end = std::min(sentence_end(text), text.size());
    std::string_view sentence = text.substr(0, end);
    text.remove_prefix(end);
    while (!sentence.empty() && blank(sentence.back())) sentence.remove_suffix(1);
    while (!sentence.empty() && blank(sentence.front())) sentence.remove_prefix(1);
    size_t words = 0, begin = 0;
    for (size_t i = 0; i < sentence.size(); ++i) {
      if (!blank(sentence[i]) || blank(sentence[i - 1])) continue;  // the first byte is no blank
      if (++words % most == 0) {
        sentences.push_back(sentence.substr(begin, i - begin));
        begin = i + 1;
      }
    }
    if (begin < sentence.size()) sentences.push_back(sentence.substr(begin));
  }
  return sentences;
}

}  // namespace ingot
