#include "text/character_class.h"

#include <utf8proc.h>

namespace ingot {

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

}  // namespace ingot
