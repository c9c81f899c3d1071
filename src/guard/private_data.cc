#include "guard/private_data.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "guard/ascii.h"
#include "guard/national_ids.h"
#include "guard/street_address.h"

namespace ingot {
namespace {

constexpr size_t kWordLimit = 512;  // longest token looked at as a whole; longer runs are skipped over once

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
  for (const char* name : {"key", "token", "secret", "passw", "pwd", "passphrase", "bearer", "credential", "authorization", "x-auth"})
    if (before.find(name) != std::string::npos) return true;
  return false;
}

// "my password is hunter2!", "password: correct-horse": the word behind, whatever signs it holds; 0 if there is none.
size_t told_password_end(std::string_view text, size_t at, size_t& begin) {
  for (std::string_view name : {"password", "passwort", "passphrase", "passcode", "contraseña", "mot de passe"}) {
    if (text.size() - at < name.size() + 5) continue;
    std::string seen(text.substr(at, name.size()));
    std::transform(seen.begin(), seen.end(), seen.begin(), fold);
    if (seen != name) continue;
    size_t i = at + name.size();
    for (std::string_view link : {" is: ", " is ", " ist ", " es ", " est ", ": ", "=", ":"}) {
      if (text.substr(i, link.size()) != link) continue;
      i += link.size();
      const char quote = i < text.size() && (text[i] == '"' || text[i] == '\'' || text[i] == '`') ? text[i] : 0;
      if (quote) ++i;
      begin = i;
      size_t end = i, digits = 0, signs = 0, letters = 0;
      for (; end < text.size() && end - i < 64 && text[end] > ' ' && text[end] < 0x7f && text[end] != quote; ++end) {
        if (digit(text[end])) ++digits;
        else if (upper(text[end]) || lower(text[end])) ++letters;
        else ++signs;
      }
      while (end > i && (text[end - 1] == '.' || text[end - 1] == ',' || text[end - 1] == ';' || text[end - 1] == ')' || text[end - 1] == '?')) --end, --signs;
      if (end - i >= 6 && letters && digits && entropy(text.substr(i, end - i)) > 2.0 && text[i] != '$' && text[i] != '<' && text[i] != '%' && text[i] != '{') return end;
      return 0;
    }
    return 0;
  }
  return 0;
}

// "scheme://user:password@host": the part between the colon and the at sign.
size_t url_password_end(std::string_view text, size_t colon, size_t& begin) {
  if (text.substr(colon, 3) != "://") return 0;
  size_t user = colon + 3;
  while (user < text.size() && user - colon < 67 && token_char(text[user]) && text[user] != '/') ++user;
  if (user >= text.size() || text[user] != ':') return 0;
  begin = user + 1;
  size_t end = begin;
  while (end < text.size() && end - begin < 128 && text[end] > ' ' && text[end] != '@' && text[end] != '/') ++end;
  return end < text.size() && text[end] == '@' && end - begin >= 4 && text[begin] != '$' && text[begin] != '<' && text[begin] != '*' ? end : 0;
}

bool secret_word(std::string_view text, size_t at, std::string_view w) {
  struct Shape {
    std::string_view prefix;
    size_t least;
  };
  static constexpr Shape kShapes[] = {{"sk-", 24},   {"sk_live_", 20}, {"rk_live_", 20}, {"ghp_", 36}, {"gho_", 36}, {"ghs_", 36},
                                      {"github_pat_", 40}, {"glpat-", 20},  {"xoxb-", 24},    {"xoxp-", 24}, {"AIza", 39}, {"hf_", 30},
                                      {"AKIA", 20},  {"ASIA", 20},     {"npm_", 36},     {"pypi-", 40}, {"SG.", 60},
                                      {"ghu_", 36},  {"ghr_", 36},     {"xapp-", 24},    {"xoxa-", 24}, {"xoxs-", 24}, {"ya29.", 40}, {"whsec_", 30},
                                      {"shpat_", 36}, {"dop_v1_", 60}, {"AGE-SECRET-KEY-1", 60}, {"sq0csp-", 40}, {"EAACEdEose0cBA", 30}, {"glrt-", 20}};
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
    case PrivateKind::address: return "address";
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
    if (c == ':') {
      size_t begin = 0;
      if (const size_t end = url_password_end(text, i, begin)) {
        take(begin, end, PrivateKind::secret), i = end - 1;
        continue;
      }
    }
    const bool starts = (i == 0 || !alnum(text[i - 1])) && (alnum(c) || c == '+' || c == '(');
    if (!starts || i < floor) continue;
    if (digit(c) || c == '+' || c == '(') {
      const Number n = number_at(text, i);
      const size_t begin = i;
      const bool whole = n.end >= text.size() || !alnum(text[n.end]);
      PrivateKind kind = PrivateKind::phone;
      size_t end = 0;
      if (digit(c) && (end = national_id_end(text, i))) kind = PrivateKind::national_id;
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
    if (!digit(c)) {
      if (const size_t end = national_id_end(text, i)) {
        take(i, end, PrivateKind::national_id), i = end - 1;
        continue;
      }
    }
    if (const char f = fold(c); f == 'p' || f == 'c' || f == 'm') {
      size_t begin = 0;
      if (const size_t end = told_password_end(text, i, begin)) {
        take(begin, end, PrivateKind::secret), i = end - 1;
        continue;
      }
    }
    if (digit(c) || upper(c)) {
      if (const size_t end = street_address_end(text, i)) {
        take(i, end, PrivateKind::address), i = end - 1;
        continue;
      }
    }
    size_t e = i;
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
