#include <utf8proc.h>

#include "text/tokenizer.h"

namespace ingot {
namespace {

enum Class : uint8_t { kOther, kLetter, kNumber, kSpace, kNewline };  // kNewline is \r or \n, also a space

Class class_of(int32_t c) {
  if (c == '\n' || c == '\r') return kNewline;
  if ((c >= 9 && c <= 13) || c == ' ' || c == 0x85) return kSpace;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return kLetter;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return kNumber;
    case UTF8PROC_CATEGORY_ZS: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: return kSpace;
    default: return kOther;
  }
}

struct Character {
  Class kind;
  uint8_t bytes;
};

Character at(std::string_view s, size_t i) {
  static const auto table = [] {
    std::array<Class, 128> t;
    for (int c = 0; c < 128; ++c) t[static_cast<size_t>(c)] = class_of(c);
    return t;
  }();
  auto b = static_cast<unsigned char>(s[i]);
  if (b < 128) return {table[b], 1};
  int32_t c;
  auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(s.data()) + i, static_cast<utf8proc_ssize_t>(s.size() - i), &c);
  if (n <= 0) return {kOther, 1};
  return {class_of(c), static_cast<uint8_t>(n)};
}

bool is_space(Class k) { return k == kSpace || k == kNewline; }

template <class Keep>
size_t run(std::string_view s, size_t i, Keep keep, size_t most = SIZE_MAX) {
  while (i < s.size() && most-- > 0) {
    Character c = at(s, i);
    if (!keep(c.kind)) break;
    i += c.bytes;
  }
  return i;
}

// 's 't 're 've 'm 'll 'd at i; bytes matched or 0.
size_t contraction(std::string_view s, size_t i, bool any_case) {
  if (s[i] != '\'' || i + 1 >= s.size()) return 0;
  auto low = [&](size_t j) { return j < s.size() ? static_cast<char>(any_case && s[j] >= 'A' && s[j] <= 'Z' ? s[j] + 32 : s[j]) : '\0'; };
  char a = low(i + 1), b = low(i + 2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (any_case && s.substr(i + 1, 2) == "\xc5\xbf") return 3;  // long s folds to s
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return 0;
}

// \s+(?!\S)|\s+ at i, which is a space.
size_t spaces(std::string_view s, size_t i) {
  size_t end = i, last = i;
  while (end < s.size()) {
    Character c = at(s, end);
    if (!is_space(c.kind)) break;
    last = end;
    end += c.bytes;
  }
  return end < s.size() && last > i ? last : end;  // leaves one space for the word that follows
}

void gpt2(std::string_view s, std::vector<std::string_view>& out) {
  for (size_t i = 0; i < s.size();) {
    size_t end;
    if (size_t n = contraction(s, i, false)) {
      end = i + n;
    } else {
      size_t start = i + (s[i] == ' ' && i + 1 < s.size() ? 1 : 0);
      Class k = at(s, start).kind;
      if (is_space(k)) end = spaces(s, i);
      else end = run(s, start, [k](Class c) { return c == k; });
    }
    out.push_back(s.substr(i, end - i));
    i = end;
  }
}

void smollm(std::string_view s, std::vector<std::string_view>& out) {
  size_t start = 0;
  for (size_t i = 0; i < s.size();) {
    Character c = at(s, i);
    if (c.kind == kNumber) {
      gpt2(s.substr(start, i - start), out);
      out.push_back(s.substr(i, c.bytes));
      start = i + c.bytes;
    }
    i += c.bytes;
  }
  gpt2(s.substr(start), out);
}

void llama3(std::string_view s, size_t digits, std::vector<std::string_view>& out) {
  auto letter = [](Class c) { return c == kLetter; };
  for (size_t i = 0; i < s.size();) {
    Character c = at(s, i);
    size_t next = i + c.bytes, end = i;
    if (size_t n = contraction(s, i, true)) end = i + n;
    else if (c.kind == kLetter) end = run(s, i, letter);
    else if (c.kind != kNewline && c.kind != kNumber && next < s.size() && at(s, next).kind == kLetter) end = run(s, next, letter);
    else if (c.kind == kNumber) end = run(s, i, [](Class k) { return k == kNumber; }, digits);
    else {
      size_t start = s[i] == ' ' && next < s.size() ? next : i;
      if (at(s, start).kind == kOther) {
        end = run(s, start, [](Class k) { return k == kOther; });
        end = run(s, end, [](Class k) { return k == kNewline; });
      } else {
        size_t stop = run(s, i, is_space), newline = i;  // \s*[\r\n]+ ends after the last newline of the run
        for (size_t j = i; j < stop;) {
          Character d = at(s, j);
          j += d.bytes;
          if (d.kind == kNewline) newline = j;
        }
        end = newline > i ? newline : spaces(s, i);
      }
    }
    out.push_back(s.substr(i, end - i));
    i = end;
  }
}

}  // namespace

void pre_tokenize(PreTokenizer kind, std::string_view text, std::vector<std::string_view>& pieces) {
  switch (kind) {
    case PreTokenizer::kGpt2: return gpt2(text, pieces);
    case PreTokenizer::kSmolLm: return smollm(text, pieces);
    case PreTokenizer::kLlama3: return llama3(text, 3, pieces);
    case PreTokenizer::kQwen2: return llama3(text, 1, pieces);
  }
}

}  // namespace ingot
