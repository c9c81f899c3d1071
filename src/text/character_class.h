// The classes of characters that pre-tokenizers cut by.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ingot {

enum class CharacterClass : uint8_t {
  kOther,        // symbols, controls, unassigned
  kPunctuation,  // P*
  kMark,         // M*
  kUpper,        // Lu Lt
  kLower,        // Ll
  kLetter,       // Lm Lo
  kNumber,       // N*
  kSpace,        // White_Space but for the two below
  kNewline,      // \r \n
};

CharacterClass look_up_class(int32_t code);  // any code point

// The first plane as a table: most text needs one load a character.
const std::array<CharacterClass, 0x10000>& class_table();

inline CharacterClass class_of(int32_t code) {
  static const auto& table = class_table();
  return code < 0x10000 ? table[static_cast<size_t>(code)] : look_up_class(code);
}

inline bool is_letter(CharacterClass c) { return c >= CharacterClass::kUpper && c <= CharacterClass::kLetter; }
inline bool is_space(CharacterClass c) { return c >= CharacterClass::kSpace; }

bool is_white_space(int32_t code);     // Unicode's White_Space
bool is_word_character(int32_t code);  // \w: alphabetic, marks, decimal digits, connectors, joiners
bool is_numeric(int32_t code);         // as the Digits step has it
int32_t lower_case(int32_t code);      // the one character; U+0130 has two and stays

// Sets that follow no one version of Unicode, but the reference (tools/make_unicode_tables.py).
enum class CodeSet : uint8_t { kBertPunctuation, kBertControl, kBertMark, kLeftAlone };
bool contains(CodeSet set, int32_t code);

}  // namespace ingot
