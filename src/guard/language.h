// Which language a text is in: by its script, and in Latin and Cyrillic letters by its small words.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ingot {

struct Language {
  std::string code;       // ISO 639-1; empty: cannot be told (too short, code, mixed)
  double confidence = 0;  // 0 to 1
};

// Looks at the first 8 KiB. Linear.
Language language_of(std::string_view text);

// The codes that language_of() can give.
std::span<const std::string_view> known_languages();

}  // namespace ingot
