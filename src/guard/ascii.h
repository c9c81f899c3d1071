// ASCII alone, whatever the locale: what the rails' scanners go by. Bytes of longer UTF-8 characters belong to none of these.
#pragma once

namespace ingot {

constexpr bool digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool letter(char c) { return upper(c) || lower(c); }
constexpr bool alnum(char c) { return digit(c) || letter(c); }
constexpr bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
constexpr char fold(char c) { return upper(c) ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace ingot
