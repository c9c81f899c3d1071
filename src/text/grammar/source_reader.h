// Reads a grammar's source one character at a time; shared by the parsers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace ingot::grammar {

inline constexpr int kMaxNesting = 200;        // of parentheses: parsers and compilers recurse
inline constexpr int32_t kMaxRepeat = 100000;  // of {n}; the states that it takes are limited too

struct SourceReader {
  std::string_view source;
  std::string_view kind;  // "grammar", "regular expression", for errors
  size_t at = 0;

  bool done() const { return at >= source.size(); }
  char peek(size_t ahead = 0) const { return at + ahead < source.size() ? source[at + ahead] : '\0'; }
  bool take(std::string_view expected) {
    if (!source.substr(at).starts_with(expected)) return false;
    at += expected.size();
    return true;
  }
  [[noreturn]] void fail(const std::string& problem, const std::string& todo = "correct it there") const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < source.size(); ++i)
      if (source[i] == '\n') ++line, column = 1;
      else ++column;
    bad_input(problem, std::string(kind) + ", line " + std::to_string(line) + ", column " + std::to_string(column), todo);
  }
  uint32_t code_point() {
    if (done()) fail("it ends where a character is expected");
    auto byte = [&](size_t i) { return static_cast<unsigned char>(at + i < source.size() ? source[at + i] : 0); };
    unsigned char first = byte(0);
    int more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : -1;
    if (more < 0) fail("a byte is no UTF-8", "save it as UTF-8");
    uint32_t code = more == 0 ? first : first & (0x3fu >> more);
    for (int i = 1; i <= more; ++i) {
      unsigned char next = byte(static_cast<size_t>(i));
      if ((next & 0xc0) != 0x80) fail("a byte is no UTF-8", "save it as UTF-8");
      code = code << 6 | (next & 0x3f);
    }
    at += static_cast<size_t>(more) + 1;
    return code;
  }
  uint32_t hex(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      char c = peek();
      int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (v < 0) fail(std::to_string(digits) + " hexadecimal digits are expected");
      value = value << 4 | static_cast<uint32_t>(v);
      ++at;
    }
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) fail("this is no Unicode character");
    return value;
  }
  bool digit() const { return peek() >= '0' && peek() <= '9'; }
  int32_t number() {
    if (!digit()) fail("a number is expected");
    int64_t value = 0;
    while (digit()) {
      value = value * 10 + (source[at++] - '0');
      if (value > kMaxRepeat) fail("the repetition is above " + std::to_string(kMaxRepeat), "repeat fewer times");
    }
    return static_cast<int32_t>(value);
  }
};

inline std::string utf8_of(uint32_t c) {
  std::string out;
  auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) put(c);
  else if (c < 0x800) put(0xc0 | c >> 6), put(0x80 | (c & 0x3f));
  else if (c < 0x10000) put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
  else put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 0x3f)), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
  return out;
}

}  // namespace ingot::grammar
