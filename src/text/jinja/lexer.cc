#include <algorithm>

#include "text/jinja/syntax.h"

namespace ingot::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 128; }
bool in_name(char c) { return starts_name(c) || is_digit(c); }

std::string plain_newlines(std::string_view source) {
  std::string s;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') s += source[i];
    else if (s += '\n'; i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (s.ends_with('\n')) s.pop_back();  // keep_trailing_newline is off
  return s;
}

struct Lexer {
  std::string s;
  std::vector<Token> out{};
  size_t at = 0;
  int line = 1;
  bool line_starting = true;  // the last tag ended with a newline

  void add(TokenKind kind, std::string text) { out.push_back({kind, std::move(text), line}); }
  bool here(std::string_view t) const { return std::string_view(s).substr(at).starts_with(t); }
  void move(size_t to) {
    line += static_cast<int>(std::count(s.begin() + static_cast<std::ptrdiff_t>(at), s.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at = to;
  }
  size_t after_spaces(size_t i) const {
    while (i < s.size() && is_space_point(point_at(s, i))) i += point_bytes(s, i);
    return i;
  }

  // Text in front of a tag whose sign stands at `sign`; a print tag keeps the spaces of its line.
  void data(size_t end, size_t sign, bool print) {
    std::string_view text = std::string_view(s).substr(at, end - at);
    char c = sign < s.size() ? s[sign] : '\0';
    if (c == '-') {
      text = strip(text, false, true);
    } else if (c != '+' && !print) {
      size_t start = text.rfind('\n') + 1;  // npos + 1 is 0
      if ((start > 0 || line_starting) && strip(text.substr(start), true, false).empty()) text = text.substr(0, start);
    }
    if (!text.empty()) add(TokenKind::kData, std::string(text));
    move(end);
  }

  // Past the end of a tag: '-' eats the spaces, '+' keeps the newline.
  void close(size_t end, char sign, bool print) {
    size_t to = end;
    if (sign == '-') to = after_spaces(end);
    else if (sign != '+' && !print && to < s.size() && s[to] == '\n') ++to;
    line_starting = to > 0 && s[to - 1] == '\n';
    move(to);
  }

  void comment() {
    size_t end = s.find("#}", at + 2);
    if (end == std::string::npos) throw Refusal{"a comment that does not end", line};
    close(end + 2, end > at + 2 ? s[end - 1] : '\0', false);
  }

  // {% raw %}: true when the block at `at` is one, and then all of it is read.
  bool raw() {
    size_t i = at + 2;
    if (i < s.size() && (s[i] == '-' || s[i] == '+')) ++i;
    i = after_spaces(i);
    if (std::string_view(s).substr(i, 3) != "raw") return false;
    i = after_spaces(i + 3);
    char sign = i < s.size() ? s[i] : '\0';
    if (sign == '-' || sign == '+') ++i;
    if (std::string_view(s).substr(i, 2) != "%}") return false;
    close(i + 2, sign, false);
    for (size_t tag = s.find("{%", at); tag != std::string::npos; tag = s.find("{%", tag + 2)) {
      size_t j = tag + 2;
      if (j < s.size() && (s[j] == '-' || s[j] == '+')) ++j;
      j = after_spaces(j);
      if (std::string_view(s).substr(j, 6) != "endraw") continue;
      j = after_spaces(j + 6);
      char last = j < s.size() ? s[j] : '\0';
      if (last == '-' || last == '+') ++j;
      if (std::string_view(s).substr(j, 2) != "%}") continue;
      data(tag, tag + 2, false);
      close(j + 2, last, false);
      return true;
    }
    throw Refusal{"a raw block that does not end", line};
  }

  void string() {
    char quote = s[at];
    std::string text;
    size_t i = at + 1;
    auto number = [&](size_t digits, int base) {
      uint32_t value = 0;
      size_t n = 0;
      for (; n < digits && i < s.size(); ++n, ++i) {
        char c = s[i];
        int d = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
        if (d >= base) break;
        value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(d);
      }
      if ((base == 16 && n != digits) || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) throw Refusal{"a string with a broken escape", line};
      append_point(static_cast<int32_t>(value), text);
    };
    for (;;) {
      if (i >= s.size()) throw Refusal{"a string that does not end", line};
      char c = s[i++];
      if (c == quote) break;
      if (c != '\\') {
        text += c;
        continue;
      }
      if (i >= s.size()) continue;
      c = s[i++];
      constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
      if (size_t k = kFrom.find(c); k != std::string_view::npos) text += kTo[k];
      else if (c == '\n') continue;
      else if (c == 'x') number(2, 16);
      else if (c == 'u') number(4, 16);
      else if (c == 'U') number(8, 16);
      else if (c >= '0' && c <= '7') --i, number(3, 8);
      else (text += '\\') += c;
    }
    add(TokenKind::kString, std::move(text));
    move(i);
  }

  void number() {
    size_t i = at;
    auto digits = [&] {
      size_t from = i;
      while (i < s.size() && (is_digit(s[i]) || (s[i] == '_' && i > from && i + 1 < s.size() && is_digit(s[i + 1])))) ++i;
    };
    digits();
    bool is_float = false;
    if (i + 1 < s.size() && s[i] == '.' && is_digit(s[i + 1])) is_float = true, ++i, digits();
    if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
      size_t j = i + 1;
      if (j < s.size() && (s[j] == '+' || s[j] == '-')) ++j;
      if (j < s.size() && is_digit(s[j])) is_float = true, i = j, digits();
    }
    std::string text = s.substr(at, i - at);
    std::erase(text, '_');
    if (!is_float && text.size() > 18) throw Refusal{"the number " + text, line};
    if (text.size() > 300) throw Refusal{"a number of " + std::to_string(text.size()) + " digits", line};
    if (text == "0" && i < s.size() && (s[i] | 32) > 'a' && (s[i] | 32) <= 'x') throw Refusal{"a number that is not decimal", line};
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, text);
    move(i);
  }

  // What stands between the signs of a tag, up to its end.
  void inside(bool print) {
    std::string closers;
    for (;;) {
      move(after_spaces(at));
      if (at >= s.size()) throw Refusal{print ? "a {{ that does not end" : "a {% that does not end", line};
      if (closers.empty()) {
        size_t i = at + (s[at] == '-' || (s[at] == '+' && !print) ? 1 : 0);
        if (std::string_view(s).substr(i, 2) == (print ? "}}" : "%}")) {
          char sign = s[at];
          add(print ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "");
          return close(i + 2, sign, print);
        }
      }
      char c = s[at];
      if (is_digit(c)) {
        number();
      } else if (starts_name(c)) {
        size_t i = at;
        while (i < s.size() && in_name(s[i])) ++i;
        add(TokenKind::kName, s.substr(at, i - at));
        move(i);
      } else if (c == '\'' || c == '"') {
        string();
      } else {
        static constexpr std::string_view kTwo[] = {"**", "//", "==", "!=", ">=", "<="};
        std::string op(1, c);
        for (std::string_view two : kTwo)
          if (here(two)) op = two;
        if (op.size() == 1 && std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) throw Refusal{"the character " + s.substr(at, point_bytes(s, at)), line};
        if (c == '(') closers += ')';
        if (c == '[') closers += ']';
        if (c == '{') closers += '}';
        if (c == ')' || c == ']' || c == '}') {
          if (closers.empty() || closers.back() != c) throw Refusal{std::string("an unexpected ") + c, line};
          closers.pop_back();
        }
        add(TokenKind::kOperator, op);
        move(at + op.size());
      }
    }
  }

  void run() {
    while (at < s.size()) {
      size_t tag = at;
      for (;; ++tag) {
        tag = s.find('{', tag);
        if (tag == std::string::npos || tag + 1 >= s.size()) return data(s.size(), s.size(), true);
        char c = s[tag + 1];
        if (c == '{' || c == '%' || c == '#') break;
      }
      bool print = s[tag + 1] == '{';
      data(tag, tag + 2, print);
      if (s[at + 1] == '#') {
        comment();
        continue;
      }
      if (!print && raw()) continue;
      bool sign = at + 2 < s.size() && (s[at + 2] == '-' || (s[at + 2] == '+' && !print));
      add(print ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "");
      move(at + 2 + (sign ? 1 : 0));
      inside(print);
    }
  }
};

}  // namespace

std::vector<Token> cut(std::string_view source) {
  Lexer lexer{plain_newlines(source)};
  lexer.run();
  lexer.add(TokenKind::kEnd, "");
  return std::move(lexer.out);
}

}  // namespace ingot::jinja
