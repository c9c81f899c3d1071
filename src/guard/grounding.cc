#include "guard/grounding.h"

#include <algorithm>
#include <cmath>

#include "guard/sentences.h"
#include "guard/topic/margin.h"
#include "text/normalise.h"

namespace ingot {
namespace {

const std::unordered_set<std::string_view>& stop_words() {
  static const std::unordered_set<std::string_view> words = {
      "a", "an", "the", "and", "or", "but", "if", "then", "of", "to", "in", "on", "at", "by", "for", "with", "from", "as", "is", "are", "was", "were", "be", "been", "being", "it", "its", "this", "that",
      "these", "those", "there", "here", "he", "she", "they", "them", "his", "her", "their", "we", "our", "you", "your", "i", "my", "me", "do", "does", "did", "done", "has", "have", "had", "having", "will",
      "would", "can", "could", "should", "may", "might", "must", "shall", "so", "such", "than", "too", "very", "also", "just", "only", "into", "over", "under", "about", "up", "down", "out", "which", "who",
      "whom", "what", "when", "where", "why", "how", "all", "any", "both", "each", "more", "most", "other", "some", "own", "same", "one", "use", "used", "using", "according", "document", "documents",
      "text", "states", "says", "mentions", "passage", "source", "sources", "given", "provided", "however", "therefore", "because", "while", "after", "before", "between", "during", "through", "within",
      "sure", "yes", "okay", "ok", "answer", "question", "please", "hello", "hi", "thanks", "thank", "sorry", "know", "help", "like", "based", "information", "context", "them", "us", "let", "get"};
  return words;
}

bool denial(std::string_view word) {
  static const std::unordered_set<std::string_view> words = {"not", "no", "never", "none", "nobody", "nothing", "without", "cannot", "neither", "nor", "isn", "aren", "wasn", "weren", "doesn", "don", "didn", "won", "couldn", "can't", "unable", "fails", "failed", "impossible"};
  return words.contains(word);
}

// A light stem: "configures", "configured" and "configuring" are one word.
std::string stem(std::string word) {
  const auto cut = [&](std::string_view end, size_t least) {
    if (word.size() < least + end.size() || !word.ends_with(end)) return false;
    word.resize(word.size() - end.size());
    return true;
  };
  if (word.size() > 3 && word.ends_with("ies")) return word.substr(0, word.size() - 3) + "y";
  if (!word.ends_with("ss") && !word.ends_with("us")) cut("s", 3);
  for (const char* end : {"ations", "ation", "ings", "ing", "ments", "ment", "edly", "ed", "ly", "er"})
    if (cut(end, 4)) break;
  if (word.size() > 4 && word[word.size() - 1] == word[word.size() - 2] && !word.ends_with("ll") && !word.ends_with("ss")) word.pop_back();
  if (word.size() > 4 && word.back() == 'e') word.pop_back();
  return word;
}

struct Term {
  std::string text;   // stem, or the number as digits
  std::string word;   // as written, in small letters
  bool number = false, name = false, denies = false, stop = false;
};

std::string number_word(const std::string& word) {
  static const std::unordered_map<std::string, std::string> words = {{"two", "2"}, {"three", "3"}, {"four", "4"}, {"five", "5"}, {"six", "6"}, {"seven", "7"}, {"eight", "8"}, {"nine", "9"}, {"ten", "10"},
                                                                     {"eleven", "11"}, {"twelve", "12"}, {"twenty", "20"}, {"thirty", "30"}, {"forty", "40"}, {"fifty", "50"}, {"hundred", "100"}, {"thousand", "1000"}, {"million", "1000000"}};
  const auto found = words.find(word);
  return found == words.end() ? "" : found->second;
}

std::vector<Term> terms_of(std::string_view text) {
  std::vector<Term> terms;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto part = [&](char c) { return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80 || c == '_'; };
  bool first = true;
  for (size_t i = 0; i < text.size();) {
    if (!part(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    bool number = true;
    while (end < text.size() && (part(text[end]) || (digit(text[end - 1]) && (text[end] == '.' || text[end] == ',') && end + 1 < text.size() && digit(text[end + 1])))) {
      number &= digit(text[end]) || text[end] == '.' || text[end] == ',';
      ++end;
    }
    const std::string_view typed = text.substr(i, end - i);
    i = end;
    Term term;
    if (number) {
      for (char c : typed)
        if (c != ',') term.text += c;
      while (term.text.size() > 1 && term.text[0] == '0' && digit(term.text[1])) term.text.erase(0, 1);
      term.number = true;
    } else {
      const std::string low = normalise_text(typed);
      term.denies = denial(low);
      term.stop = stop_words().contains(low) || low.size() < 2;
      size_t capitals = 0;
      for (char c : typed) capitals += c >= 'A' && c <= 'Z';
      // A capital at the start of a sentence says nothing; inside it, and two of them anywhere, it is a name.
      term.name = !term.stop && ((capitals > 0 && !first && typed[0] >= 'A' && typed[0] <= 'Z') || capitals > 1 || std::any_of(typed.begin(), typed.end(), digit));
      const std::string as_number = number_word(low);
      term.text = as_number.empty() ? stem(low) : as_number;
      term.word = low;
      term.number = !as_number.empty();
    }
    first = false;
    terms.push_back(std::move(term));
  }
  return terms;
}

// Marks such as [2] or [1, 3], taken out of the sentence.
std::vector<size_t> take_marks(std::string& sentence) {
  std::vector<size_t> marks;
  std::string rest;
  for (size_t i = 0; i < sentence.size();) {
    if (sentence[i] == '[') {
      size_t end = i + 1, value = 0;
      std::vector<size_t> here;
      bool good = true, any = false;
      for (; end < sentence.size() && sentence[end] != ']' && end - i < 24; ++end) {
        const char c = sentence[end];
        if (c >= '0' && c <= '9') value = value * 10 + static_cast<size_t>(c - '0'), any = true;
        else if (c == ',' || c == ' ') {
          if (any) here.push_back(value);
          value = 0, any = false;
        } else if (c != '^') good = false;
      }
      if (any) here.push_back(value);
      if (good && end < sentence.size() && sentence[end] == ']' && !here.empty()) {
        marks.insert(marks.end(), here.begin(), here.end());
        i = end + 1;
        continue;
      }
    }
    rest += sentence[i++];
  }
  sentence = std::move(rest);
  return marks;
}

}  // namespace

Grounding::Grounding(std::span<const std::string> documents, std::string_view question, std::shared_ptr<const TextEncoder> encoder)
    : documents_(documents.size()), encoder_(std::move(encoder)) {
  constexpr size_t kMostVectors = 20000;
  for (size_t d = 0; d < documents.size(); ++d) {
    held_.emplace_back();
    std::vector<std::pair<std::unordered_set<std::string>, bool>> lines;
    // Documents are wrapped at line ends that end no sentence.
    std::string text = documents[d];
    for (size_t i = 0; i + 1 < text.size(); ++i)
      if (text[i] == '\n' && text[i + 1] != '\n' && text[i + 1] != '-' && text[i + 1] != '*') text[i] = ' ';
    for (std::string_view sentence : sentences_of(text, 80)) {
      std::unordered_set<std::string> terms;
      bool denies = false;
      for (const Term& term : terms_of(sentence)) {
        denies |= term.denies;
        held_.back().insert(term.text);
        if (term.stop) continue;
        terms.insert(term.text);
        if (encoder_ && !term.number && vectors_.size() < kMostVectors && !vectors_.contains(term.text)) vectors_[term.text] = encoder_->encode({&term.word, 1});
      }
      for (const std::string& term : terms) ++frequency_[term];
      ++sentences_;
      lines.emplace_back(std::move(terms), denies);
    }
    for (size_t i = 0; i < lines.size(); ++i) {
      passages_.push_back({d, lines[i].first, lines[i].second});
      if (i + 1 == lines.size()) continue;
      Passage both{d, lines[i].first, lines[i].second || lines[i + 1].second};
      both.terms.insert(lines[i + 1].first.begin(), lines[i + 1].first.end());
      passages_.push_back(std::move(both));
    }
  }
  for (const Term& term : terms_of(question)) asked_.insert(term.text);
}

double Grounding::weight_of(const std::string& term) const {
  const auto found = frequency_.find(term);
  const double in = found == frequency_.end() ? 0 : found->second;
  return std::log(1 + (static_cast<double>(sentences_) + 1) / (in + 1));
}

double Grounding::nearness(const std::vector<float>& vector, const Passage& passage) const {
  constexpr float kNear = 0.5f;
  float best = 0;
  for (const std::string& term : passage.terms) {
    const auto found = vectors_.find(term);
    if (found != vectors_.end()) best = std::max(best, dot(found->second.data(), vector.data(), vector.size()));
  }
  return best < kNear ? 0 : best;
}

Grounding::Support Grounding::judge(std::string_view given) const {
  std::string sentence(given);
  std::vector<size_t> marks = take_marks(sentence);
  std::erase_if(marks, [&](size_t mark) { return mark == 0 || mark > documents_; });
  const auto in_question = [&](size_t document) { return marks.empty() || std::find(marks.begin(), marks.end(), document + 1) != marks.end(); };
  Support support;
  std::vector<Term> terms = terms_of(sentence);
  bool denies = false;
  double total = 0;
  size_t content = 0;
  std::unordered_set<std::string> distinct;
  std::unordered_map<std::string, std::vector<float>> vectors;
  for (const Term& term : terms) {
    denies |= term.denies;
    if (term.stop || !distinct.insert(term.text).second) continue;
    ++content;
    total += weight_of(term.text);
    if (encoder_ && !term.number && !term.name) vectors[term.text] = encoder_->encode({&term.word, 1});
    if (!term.number && !term.name) continue;
    if (asked_.contains(term.text)) continue;
    bool found = false;
    for (size_t d = 0; d < held_.size() && !found; ++d) found = in_question(d) && held_[d].contains(term.text);
    if (!found && support.missing.empty()) support.missing = term.text;
  }
  if (content == 0 || (content < 2 && support.missing.empty() && denies)) {
    support.claims = false;
    support.score = 1;
    support.missing.clear();
    return support;
  }
  for (const Passage& passage : passages_) {
    if (!in_question(passage.document)) continue;
    double covered = 0;
    for (const std::string& term : distinct) {
      if (passage.terms.contains(term)) covered += weight_of(term);
      else if (const auto vector = vectors.find(term); vector != vectors.end()) covered += weight_of(term) * nearness(vector->second, passage);
    }
    // What is denied on one side alone is hardly the same claim.
    double score = covered / total;
    if (denies != passage.denies) score *= 0.7;
    if (score > support.score) {
      support.score = score;
      support.document = passage.document;
    }
  }
  return support;
}

}  // namespace ingot
