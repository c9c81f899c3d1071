#include "text/character_class.h"

#include <utf8proc.h>

#include <algorithm>
#include <bitset>
#include <iterator>
#include <span>

namespace ingot {
namespace {

struct CodeRange {
  int32_t first, last;
};

struct CodePair {
  int32_t from, to;
};

#include "text/unicode_tables.inc"

bool in_ranges(std::span<const CodeRange> ranges, int32_t c) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), c, [](int32_t code, const CodeRange& r) { return code < r.first; });
  return after != ranges.begin() && c <= std::prev(after)->last;
}

// What Unicode 16 added to these classes; utf8proc may know less.
CharacterClass newer_class(int32_t c) {
  if (in_ranges(kNewerUpper, c)) return CharacterClass::kUpper;
  if (in_ranges(kNewerLower, c)) return CharacterClass::kLower;
  if (in_ranges(kNewerLetter, c)) return CharacterClass::kLetter;
  if (in_ranges(kNewerMark, c)) return CharacterClass::kMark;
  if (in_ranges(kNewerNumber, c)) return CharacterClass::kNumber;
  return CharacterClass::kOther;
}

// A set with its first plane as bits.
class FastSet {
 public:
  explicit FastSet(std::span<const CodeRange> ranges) : ranges_(ranges) {
    for (const CodeRange& r : ranges)
      for (int32_t c = r.first; c <= std::min(r.last, 0xffff); ++c) plane_.set(static_cast<size_t>(c));
  }
  bool has(int32_t c) const { return c < 0x10000 ? plane_[static_cast<size_t>(c)] : in_ranges(ranges_, c); }

 private:
  std::span<const CodeRange> ranges_;
  std::bitset<0x10000> plane_;
};

}  // namespace

bool is_white_space(int32_t c) {
  if ((c >= 9 && c <= 13) || c == ' ' || c == 0x85) return true;
  const auto category = utf8proc_category(c);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

CharacterClass look_up_class(int32_t c) {
  if (c == '\n' || c == '\r') return CharacterClass::kNewline;
  if (is_white_space(c)) return CharacterClass::kSpace;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LT: return CharacterClass::kUpper;
    case UTF8PROC_CATEGORY_LL: return CharacterClass::kLower;
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: return CharacterClass::kLetter;
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME: return CharacterClass::kMark;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return CharacterClass::kNumber;
    case UTF8PROC_CATEGORY_PC: case UTF8PROC_CATEGORY_PD: case UTF8PROC_CATEGORY_PS: case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI: case UTF8PROC_CATEGORY_PF: case UTF8PROC_CATEGORY_PO: return CharacterClass::kPunctuation;
    case UTF8PROC_CATEGORY_CN: return newer_class(c);
    default: return CharacterClass::kOther;
  }
}

const std::array<CharacterClass, 0x10000>& class_table() {
  static const auto table = [] {
    std::array<CharacterClass, 0x10000> t;
    for (int32_t c = 0; c < 0x10000; ++c) t[static_cast<size_t>(c)] = look_up_class(c);
    return t;
  }();
  return table;
}

bool is_word_character(int32_t c) {
  const CharacterClass k = class_of(c);
  if (is_letter(k) || k == CharacterClass::kMark) return true;
  const auto category = utf8proc_category(c);
  if (category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC) return true;
  return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f189 && category == UTF8PROC_CATEGORY_SO);
}

bool is_numeric(int32_t c) { return class_of(c) == CharacterClass::kNumber || (c >= 0x10000 && in_ranges(kDigitsBesides, c)); }

int32_t lower_case(int32_t c) {
  if (c == 0x130) return c;
  const int32_t l = utf8proc_tolower(c);
  if (l != c) return l;
  const auto* pair = std::lower_bound(std::begin(kNewerLowerCase), std::end(kNewerLowerCase), c, [](const CodePair& p, int32_t code) { return p.from < code; });
  return pair != std::end(kNewerLowerCase) && pair->from == c ? pair->to : c;
}

bool contains(CodeSet set, int32_t c) {
  static const FastSet sets[] = {FastSet(kBertPunctuation), FastSet(kBertControl), FastSet(kBertMark), FastSet(kLeftAlone)};
  return sets[static_cast<size_t>(set)].has(c);
}

}  // namespace ingot
