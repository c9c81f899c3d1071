#include "foundry/chat/text_overlap.h"

#include <algorithm>
#include <map>

namespace ingot {
namespace {

double f1(double common, size_t said, size_t right) {
  if (said == 0 && right == 0) return 1;
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(said), recall = common / static_cast<double>(right);
  return 2 * precision * recall / (precision + recall);
}

std::string squeezed(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!space) out += c;
    else if (!out.empty() && out.back() != ' ') out += ' ';
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

std::vector<std::string> overlap_words(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (unsigned char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<unsigned char>(c + 32);
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c > 127;
    if (word && !inside) words.emplace_back();
    if (word) words.back() += static_cast<char>(c);
    inside = word;
  }
  return words;
}

double rouge_l(std::string_view said, std::string_view right) {
  const auto a = overlap_words(said), b = overlap_words(right);
  std::vector<int> above(b.size() + 1), row(b.size() + 1);
  for (const std::string& word : a) {
    for (size_t j = 0; j < b.size(); ++j) row[j + 1] = word == b[j] ? above[j] + 1 : std::max(above[j + 1], row[j]);
    std::swap(above, row);
  }
  return f1(above[b.size()], a.size(), b.size());
}

double token_f1(std::string_view said, std::string_view right) {
  const auto a = overlap_words(said), b = overlap_words(right);
  std::map<std::string, int> left;
  for (const std::string& word : b) ++left[word];
  int common = 0;
  for (const std::string& word : a)
    if (auto at = left.find(word); at != left.end() && at->second > 0) --at->second, ++common;
  return f1(common, a.size(), b.size());
}

bool exact_match(std::string_view said, std::string_view right) { return squeezed(said) == squeezed(right); }

}  // namespace ingot
