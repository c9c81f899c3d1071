#include "text/added_tokens.h"

#include "text/character_class.h"
#include "text/utf8.h"

namespace ingot {
namespace {

size_t character_before(std::string_view text, size_t i) {
  do --i;
  while (i > 0 && (text[i] & 0xc0) == 0x80);
  return i;
}

}  // namespace

AddedMatcher::AddedMatcher(const std::vector<AddedToken>& added, const std::vector<size_t>& wanted, const std::vector<std::string>& patterns)
    : added_(added) {
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (!patterns[i].empty()) entries.emplace_back(patterns[i], static_cast<int32_t>(wanted[i]));
  trie_ = ByteTrie(std::move(entries));
}

void AddedMatcher::find_special(std::string_view text, std::vector<size_t>& places) const {
  for (size_t i = 0; i < text.size(); ++i) {
    if (!trie_.starts(static_cast<unsigned char>(text[i]))) continue;
    const int32_t which = trie_.longest(text.substr(i)).second;
    if (which >= 0 && added_[static_cast<size_t>(which)].special) places.push_back(i);
  }
}

bool AddedMatcher::inside_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && is_word_character(utf8_at(text, character_before(text, begin)).code)) ||
         (end < text.size() && is_word_character(utf8_at(text, end).code));
}

size_t AddedMatcher::space_before(std::string_view text, size_t i) {
  while (i > 0) {
    const size_t before = character_before(text, i);
    if (!is_space(class_of(utf8_at(text, before).code))) break;
    i = before;
  }
  return i;
}

size_t AddedMatcher::space_after(std::string_view text, size_t i) {
  while (i < text.size()) {
    const Utf8Character c = utf8_at(text, i);
    if (!is_space(class_of(c.code))) break;
    i += c.bytes;
  }
  return i;
}

}  // namespace ingot
