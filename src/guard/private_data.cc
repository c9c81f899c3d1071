#include "guard/private_data.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace ingot {
namespace {

constexpr size_t kWordLimit = 512;  // longest token looked at as a whole; longer runs are skipped over once

bool digit(char c) { return c >= '0' && c <= '9'; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool alnum(char c) { return digit(c) || upper(c) || lower(c); }
char fold(char c) { return upper(c) ? static_cast<char>(c + 32) : c; }
bool token_char(char c) { return alnum(c) || c == '_' || c == '-' || c == '+' || c == '/' || c == '=' || c == '.'; }

// Leading digits with single separators between groups. `end` is after the last digit.
struct Number {
  std::string digits;
  size_t end = 0;
  bool separated = false, plus = false;
};

Number number_at(std::string_view text, size_t at) {
  Number n;
  size_t i = at;
  if (text[i] == '+') n.plus = true, ++i;
  bool open = false;
  for (int gap = 0; i < text.size() && n.digits.size() <= 20; ++i) {
    const char c = text[i];
    if (digit(c)) {
      n.separated |= gap > 0;
      n.digits += c, gap = 0, n.end = i + 1;
    } else if (c == '(' && !open && gap <= 1) {
      open = true, ++gap;
    } else if ((c == ' ' || c == '-' || c == '.' || (c == ')' && open)) && gap < 2) {
      ++gap;
    } else {
      break;
    }
  }
  return n;
}

bool luhn(const std::string& d) {
  int sum = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    int v = d[d.size() - 1 - i] - '0';
    if (i % 2) v = v > 4 ? 2 * v - 9 : 2 * v;
    sum += v;
  }
  return sum % 10 == 0;
}

bool card(const std::string& d) {
  if (d.size() < 13 || d.size() > 19 || d.find_first_not_of(d[0]) == std::string::npos) return false;
  if (d[0] != '2' && d[0] != '3' && d[0] != '4' && d[0] != '5' && d[0] != '6') return false;
  return luhn(d);
}

bool chinese_id(const std::string& seventeen, char check) {
  static constexpr int kWeight[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  const int year = std::stoi(seventeen.substr(6, 4)), month = std::stoi(seventeen.substr(10, 2)), day = std::stoi(seventeen.substr(12, 2));
  if (year < 1900 || year > 2100 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  int sum = 0;
  for (size_t i = 0; i < 17; ++i) sum += (seventeen[i] - '0') * kWeight[i];
  return "10X98765432"[sum % 11] == (check == 'x' ? 'X' : check);
}

bool french_nir(const std::string& d) {
  if (d.size() != 15 || (d[0] != '1' && d[0] != '2')) return false;
  const int month = std::stoi(d.substr(3, 2));
  if (month < 1 || (month > 12 && month < 20)) return false;
  return 97 - std::stoll(d.substr(0, 13)) % 97 == std::stoll(d.substr(13));
}

bool us_ssn(std::string_view t) {  // ddd-dd-dddd
  static constexpr std::string_view kShape = "ddd-dd-dddd";
  if (t.size() < kShape.size() || (t.size() > 11 && (alnum(t[11]) || t[11] == '-'))) return false;
  for (size_t i = 0; i < kShape.size(); ++i)
    if (kShape[i] == 'd' ? !digit(t[i]) : t[i] != '-') return false;
  return t.substr(0, 3) != "000" && t.substr(0, 3) != "666" && t[0] != '9' && t.substr(4, 2) != "00" && t.substr(7, 4) != "0000";
}

bool spanish_id(std::string_view w) {  // 8 digits and a letter, or X/Y/Z, 7 digits and a letter
  if (w.size() != 9 || !upper(w[8])) return false;
  int number = 0;
  for (size_t i = 0; i < 8; ++i) {
    char c = w[i];
    if (i == 0 && c >= 'X' && c <= 'Z') c = static_cast<char>('0' + (c - 'X'));
    if (!digit(c)) return false;
    number = number * 10 + (c - '0');
  }
  return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == w[8];
}

bool codice_fiscale(std::string_view w) {
  if (w.size() != 16) return false;
  static constexpr int kOdd[26] = {1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
  static constexpr std::string_view kShape = "aaaaaaddaddaddda";
  int sum = 0;
  for (size_t i = 0; i < 16; ++i) {
    const char c = fold(w[i]);
    if (kShape[i] == 'a' ? !lower(c) : !digit(c)) return false;
    const int v = digit(c) ? c - '0' : c - 'a';
    if (i < 15) sum += i % 2 == 0 ? kOdd[v] : v;
  }
  return sum % 26 == fold(w[15]) - 'a';
}

// Ends after a valid IBAN that starts at `at`, 0 if there is none. Groups may be parted by single spaces.
size_t iban_end(std::string_view text, size_t at) {
  std::string s;
  size_t end = 0;
  for (size_t i = at; i < text.size() && s.size() < 34; ++i) {
    if (digit(text[i]) || upper(text[i])) {
      s += text[i];
    } else if (text[i] != ' ' || s.size() % 4 != 0) {
      break;
    }
    if (s.size() == 4 && !(upper(s[0]) && upper(s[1]) && digit(s[2]) && digit(s[3]))) return 0;
    if (s.size() < 15 || (i + 1 < text.size() && alnum(text[i + 1])) || text[i] == ' ') continue;
    int rest = 0;
    const std::string turned = s.substr(4) + s.substr(0, 4);
    for (char c : turned) rest = digit(c) ? (rest * 10 + (c - '0')) % 97 : (rest * 100 + (c - 'A' + 10)) % 97;
    if (rest == 1) end = i + 1;
  }
  return end;
}

double entropy(std::string_view w) {
  size_t count[256] = {};
  for (unsigned char c : w) ++count[c];
  double bits = 0;
  for (size_t n : count)
    if (n) bits -= static_cast<double>(n) * std::log2(static_cast<double>(n) / static_cast<double>(w.size()));
  return bits / static_cast<double>(w.size());
}

// Does something like "api_key = " stand just before `at`?
bool named_secret(std::string_view text, size_t at) {
  const size_t from = at > 40 ? at - 40 : 0;
  std::string before(text.substr(from, at - from));
  std::transform(before.begin(), before.end(), before.begin(), fold);
  while (!before.empty() && (before.back() == ' ' || before.back() == '"' || before.back() == '\'')) before.pop_back();
  const bool bearer = before.ends_with("bearer");
  if (!bearer && (before.empty() || (before.back() != '=' && before.back() != ':'))) return false;
  if (size_t line = before.find_last_of("\n;,"); line != std::string::npos) before.erase(0, line + 1);
  for (const char* name : {"key", "token", "secret", "passw", "pwd", "bearer", "credential"})
    if (before.find(name) != std::string::npos) return true;
  return false;
}

bool secret_word(std::string_view text, size_t at, std::string_view w) {
  struct Shape {
    std::string_view prefix;
    size_t least;
  };
  static constexpr Shape kShapes[] = {{"sk-", 24},   {"sk_live_", 20}, {"rk_live_", 20}, {"ghp_", 36}, {"gho_", 36}, {"ghs_", 36},
                                      {"github_pat_", 40}, {"glpat-", 20},  {"xoxb-", 24},    {"xoxp-", 24}, {"AIza", 39}, {"hf_", 30},
                                      {"AKIA", 20},  {"ASIA", 20},     {"npm_", 36},     {"pypi-", 40}, {"SG.", 60}};
  for (const Shape& s : kShapes)
    if (w.starts_with(s.prefix) && w.size() >= s.least && entropy(w.substr(s.prefix.size())) > 2.8) return true;
  if (w.starts_with("eyJ") && w.size() >= 40 && std::count(w.begin(), w.end(), '.') == 2) return true;  // JWT
  const bool d = std::any_of(w.begin(), w.end(), digit), u = std::any_of(w.begin(), w.end(), upper), l = std::any_of(w.begin(), w.end(), lower);
  if (w.size() >= 8 && d && (u || l) && entropy(w) > 2.5 && named_secret(text, at)) return true;
  const bool path = std::count(w.begin(), w.end(), '/') > 2 || std::count(w.begin(), w.end(), '-') > 3 || w.find('.') != std::string_view::npos;
  return w.size() >= 32 && d && u && l && !path && entropy(w) > 4.2;
}

size_t email_begin(std::string_view text, size_t at, size_t floor) {
  size_t b = at;
  while (b > floor && at - b < 64 && (alnum(text[b - 1]) || std::string_view("._%+-").find(text[b - 1]) != std::string_view::npos)) --b;
  while (b < at && !alnum(text[b])) ++b;
  return b;
}

size_t email_end(std::string_view text, size_t at) {
  size_t e = at + 1, label = e, dot = 0;
  for (; e < text.size() && e - at < 254; ++e) {
    if (text[e] == '.') {
      if (e == label) break;
      dot = e, label = e + 1;
    } else if (!alnum(text[e]) && text[e] != '-') {
      break;
    }
  }
  while (e > at && (text[e - 1] == '.' || text[e - 1] == '-')) --e;
  while (dot >= e && dot > at) --dot;
  while (dot > at && text[dot] != '.') --dot;  // at most 254 back
  if (dot <= at + 1 || e - dot < 3) return 0;
  return std::all_of(text.begin() + static_cast<long>(dot) + 1, text.begin() + static_cast<long>(e), [](char c) { return alnum(c) && !digit(c); }) ? e : 0;
}

bool phone(const Number& n) {
  if (n.plus) return n.digits.size() >= 8 && n.digits.size() <= 15 && n.digits[0] != '0';
  return n.separated && (n.digits.size() == 10 || n.digits.size() == 11) && (n.digits[0] == '0' || n.digits[0] == '1' || n.digits.size() == 10);
}

// A dotted number such as a version or an address, or a date such as 2024-01-31, is no telephone.
bool dotted(std::string_view s) {
  if (std::count(s.begin(), s.end(), '.') > 2) return true;
  return s.size() > 9 && s[4] == s[7] && (s[4] == '-' || s[4] == '.') && (s[5] == '0' || s[5] == '1') && s[8] <= '3';
}

}  // namespace

std::string_view name_of(PrivateKind kind) {
  switch (kind) {
    case PrivateKind::email: return "e-mail";
    case PrivateKind::phone: return "phone";
    case PrivateKind::card: return "card";
    case PrivateKind::iban: return "iban";
    case PrivateKind::national_id: return "national id";
    case PrivateKind::secret: return "secret";
  }
  return "private";
}

std::vector<PrivateSpan> find_private_data(std::string_view text) {
  std::vector<PrivateSpan> spans;
  size_t floor = 0, looked = 0, footless = 0;  // end of the last span, of the last token judged, of text known to hold no END line
  auto take = [&](size_t begin, size_t end, PrivateKind kind) {
    while (!spans.empty() && spans.back().end > begin) spans.pop_back();
    spans.push_back({begin, end, kind});
    floor = end;
  };
  static constexpr std::string_view kPem = "-----BEGIN ";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '@') {
      const size_t b = email_begin(text, i, floor), e = b < i ? email_end(text, i) : 0;
      if (e) take(b, e, PrivateKind::email), i = e - 1;
      continue;
    }
    if (c == '-' && text.substr(i, kPem.size()) == kPem) {
      const size_t header = text.substr(i, 64).find("PRIVATE KEY-----");
      if (header != std::string_view::npos) {
        const size_t from = std::min(text.size(), i + header + 16);
        const size_t foot = from < footless ? std::string_view::npos : text.substr(from, 16384).find("-----END ");
        if (foot == std::string_view::npos) footless = std::max(footless, from + 16384 - 9);
        size_t body = from;  // without an END line: whatever looks like the key's lines
        while (foot == std::string_view::npos && body < text.size() && ((token_char(text[body]) && text[body] != '-') || text[body] == '\n' || text[body] == '\r')) ++body;
        const size_t end = foot == std::string_view::npos ? body : std::min(text.size(), from + foot + header + 14);
        take(i, end, PrivateKind::secret), i = end - 1;
      }
      continue;
    }
    const bool starts = (i == 0 || !alnum(text[i - 1])) && (alnum(c) || c == '+' || c == '(');
    if (!starts || i < floor) continue;
    if (digit(c) || c == '+' || c == '(') {
      const Number n = number_at(text, i);
      const size_t begin = i;
      const bool whole = n.end >= text.size() || !alnum(text[n.end]);
      PrivateKind kind = PrivateKind::phone;
      size_t end = 0;
      if (digit(c) && us_ssn(text.substr(i, 12))) end = i + 11, kind = PrivateKind::national_id;
      else if (n.digits.size() == 18 && !n.separated && whole && chinese_id(n.digits.substr(0, 17), n.digits[17])) end = n.end, kind = PrivateKind::national_id;
      else if (n.digits.size() == 17 && !n.separated && n.end < text.size() && fold(text[n.end]) == 'x' && chinese_id(n.digits, 'X')) end = n.end + 1, kind = PrivateKind::national_id;
      else if (whole && french_nir(n.digits)) end = n.end, kind = PrivateKind::national_id;
      else if (whole && card(n.digits)) end = n.end, kind = PrivateKind::card;
      else if (whole && phone(n) && !dotted(text.substr(i, n.end - i))) end = n.end;
      if (end) {
        take(begin, end, kind), i = end - 1;
        continue;
      }
    }
    if (upper(c))
      if (const size_t end = iban_end(text, i)) {
        take(i, end, PrivateKind::iban), i = end - 1;
        continue;
      }
    if (!alnum(c)) continue;
    size_t e = i;
    while (e < text.size() && e - i < 16 + 1 && alnum(text[e])) ++e;
    if (spanish_id(text.substr(i, e - i)) || codice_fiscale(text.substr(i, e - i))) {
      take(i, e, PrivateKind::national_id), i = e - 1;
      continue;
    }
    if (i < looked) continue;
    e = i;
    while (e < text.size() && token_char(text[e])) ++e;
    looked = e;
    std::string_view word = text.substr(i, e - i);
    while (!word.empty() && (word.back() == '.' || word.back() == '-')) word.remove_suffix(1);
    if (size_t eq = word.find('='); eq != std::string_view::npos && eq + 8 < word.size() && eq < 40) {
      const size_t at = i + eq + 1;
      word = word.substr(eq + 1);
      if (word.size() <= kWordLimit && secret_word(text, at, word)) take(at, at + word.size(), PrivateKind::secret), i = floor - 1;
    } else if (word.size() >= 8 && word.size() <= kWordLimit * 4 && secret_word(text, i, word)) {
      take(i, i + word.size(), PrivateKind::secret), i = floor - 1;
    }
  }
  return spans;
}

std::string mask_private_data(std::string_view text, const std::vector<PrivateSpan>& spans) {
  std::string out;
  size_t at = 0;
  for (const PrivateSpan& s : spans) {
    out += text.substr(at, s.begin - at);
    out += '[';
    out += name_of(s.kind);
    out += ']';
    at = s.end;
  }
  out += text.substr(at);
  return out;
}

std::string mask_private_data(std::string_view text) { return mask_private_data(text, find_private_data(text)); }

}  // namespace ingot
