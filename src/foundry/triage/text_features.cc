#include "foundry/triage/text_features.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace ingot {
namespace {

enum class Letter { other, lower, upper, digit };

Letter kind_of(unsigned char c) {
  if (c >= 'a' && c <= 'z') return Letter::lower;
  if (c >= 'A' && c <= 'Z') return Letter::upper;
  if (c >= '0' && c <= '9') return Letter::digit;
  return c >= 0x80 ? Letter::lower : Letter::other;  // any other script counts as letters
}

bool keep(const std::string& word) {
  if (word.size() < 2 || word.size() > 60) return false;
  const bool number = word.find_first_not_of("0123456789") == std::string::npos;
  return !number || word.size() <= 4;
}

void for_each_term(const std::vector<std::string>& words, auto&& visit) {
  std::string pair;
  for (size_t i = 0; i < words.size(); ++i) {
    visit(words[i]);
    if (i + 1 < words.size()) {
      pair.assign(words[i]).append(" ").append(words[i + 1]);
      visit(pair);
    }
  }
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string whole, part;
  std::vector<std::string> parts;
  Letter before = Letter::other;
  const auto end_part = [&] {
    if (!part.empty()) parts.push_back(std::move(part));
    part.clear();
  };
  for (size_t i = 0; i <= text.size(); ++i) {
    const auto c = i < text.size() ? static_cast<unsigned char>(text[i]) : ' ';
    const Letter now = kind_of(c);
    if (now == Letter::other && c != '_') {
      end_part();
      if (keep(whole)) words.push_back(whole);
      if (parts.size() > 1) {
        for (std::string& one : parts) {
          if (keep(one)) words.push_back(std::move(one));
        }
      }
      parts.clear();
      whole.clear();
    } else if (c == '_') {
      end_part();
    } else {
      if (now == Letter::upper && before == Letter::lower) end_part();
      const char small = static_cast<char>(now == Letter::upper ? c + 32 : c);
      whole += small;
      part += small;
    }
    before = now;
  }
  return words;
}

Vocabulary Vocabulary::build(std::span<const std::vector<std::string>> texts, size_t most) {
  struct Count {
    uint32_t texts = 0, last = 0;
  };
  std::unordered_map<std::string, Count> counts;
  uint32_t number = 0;
  for (const auto& words : texts) {
    ++number;
    for_each_term(words, [&](const std::string& term) {
      Count& count = counts[term];
      if (count.last != number) {
        count.last = number;
        ++count.texts;
      }
    });
  }
  std::vector<std::pair<uint32_t, std::string>> kept;
  for (auto& [term, count] : counts) {
    if (count.texts >= 2) kept.emplace_back(count.texts, term);
  }
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  if (kept.size() > most) kept.resize(most);
  Vocabulary vocabulary;
  for (auto& [frequency, term] : kept) {
    vocabulary.terms_.push_back(std::move(term));
    vocabulary.idf_.push_back(std::log((1.f + texts.size()) / (1.f + frequency)) + 1.f);
  }
  vocabulary.index();
  return vocabulary;
}

void Vocabulary::index() {
  ids_.reserve(terms_.size());
  for (uint32_t i = 0; i < terms_.size(); ++i) ids_.emplace(terms_[i], i);
}

SparseRow Vocabulary::vectorise(const std::vector<std::string>& words) const {
  std::map<uint32_t, float> counts;
  for_each_term(words, [&](const std::string& term) {
    if (auto found = ids_.find(term); found != ids_.end()) ++counts[found->second];
  });
  SparseRow row;
  double norm = 0;
  for (const auto& [id, count] : counts) {
    const float value = (1 + std::log(count)) * idf_[id];
    row.ids.push_back(id);
    row.values.push_back(value);
    norm += double(value) * value;
  }
  const auto scale = static_cast<float>(norm > 0 ? 1 / std::sqrt(norm) : 0);
  for (float& value : row.values) value *= scale;
  return row;
}

std::vector<uint32_t> Vocabulary::ids(const std::vector<std::string>& words) const {
  std::vector<uint32_t> result;
  for (const std::string& word : words) {
    if (auto found = ids_.find(word); found != ids_.end()) result.push_back(found->second);
  }
  return result;
}

void Vocabulary::save(BlobWriter& out) const {
  out.put(terms_);
  out.put(idf_);
}

Vocabulary Vocabulary::load(BlobReader& in) {
  Vocabulary vocabulary;
  vocabulary.terms_ = in.texts();
  vocabulary.idf_ = in.vector<float>();
  in.require(vocabulary.terms_.size() == vocabulary.idf_.size());
  vocabulary.index();
  return vocabulary;
}

}  // namespace ingot
