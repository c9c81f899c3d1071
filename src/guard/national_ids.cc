#include "guard/national_ids.h"

#include <algorithm>
#include <array>
#include <string>

#include "guard/ascii.h"

namespace ingot {
namespace {

// Does the text at `at` have this shape ("d" a digit, "A" a capital, "a" any letter, anything else itself), as a whole word?
size_t shaped(std::string_view text, size_t at, std::string_view shape, std::string& digits) {
  if (text.size() - at < shape.size()) return 0;
  digits.clear();
  for (size_t i = 0; i < shape.size(); ++i) {
    const char c = text[at + i];
    switch (shape[i]) {
      case 'd':
        if (!digit(c)) return 0;
        digits += c;
        break;
      case 'A':
        if (!upper(c)) return 0;
        break;
      case 'a':
        if (!upper(c) && !lower(c)) return 0;
        break;
      default:
        if (c != shape[i]) return 0;
    }
  }
  const size_t end = at + shape.size();
  if (end < text.size() && (alnum(text[end]) || (text[end] == '-' && end + 1 < text.size() && alnum(text[end + 1])))) return 0;
  // A longer dotted or grouped number is something else.
  if (end + 1 < text.size() && (text[end] == '.' || text[end] == ' ') && digit(text[end - 1]) && digit(text[end + 1]) && text[end] == '.') return 0;
  return end;
}

int number(std::string_view digits, size_t from, size_t count) {
  int value = 0;
  for (size_t i = 0; i < count; ++i) value = value * 10 + (digits[from + i] - '0');
  return value;
}

bool day_of_year(int month, int day) { return month >= 1 && month <= 12 && day >= 1 && day <= 31; }

int weighed(std::string_view digits, std::initializer_list<int> weights) {
  int sum = 0;
  size_t i = 0;
  for (int weight : weights) sum += weight * (digits[i++] - '0');
  return sum;
}

bool luhn(std::string_view d) {
  int sum = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    int v = d[d.size() - 1 - i] - '0';
    if (i % 2) v = v > 4 ? 2 * v - 9 : 2 * v;
    sum += v;
  }
  return sum % 10 == 0;
}

bool verhoeff(std::string_view d) {
  static constexpr int kProduct[10][10] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
                                           {5, 9, 8, 7, 6, 0, 4, 3, 2, 1}, {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}};
  static constexpr int kTurn[8][10] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4}, {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
                                       {9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1}, {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}};
  int c = 0;
  for (size_t i = 0; i < d.size(); ++i) c = kProduct[c][kTurn[i % 8][d[d.size() - 1 - i] - '0']];
  return c == 0;
}

bool chinese(std::string_view seventeen, char check) {
  if (number(seventeen, 6, 4) < 1900 || number(seventeen, 6, 4) > 2100 || !day_of_year(number(seventeen, 10, 2), number(seventeen, 12, 2))) return false;
  return "10X98765432"[weighed(seventeen, {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}) % 11] == (check == 'x' ? 'X' : check);
}

bool french(std::string_view d) {
  const int month = number(d, 3, 2);
  if ((d[0] != '1' && d[0] != '2') || month < 1 || (month > 12 && month < 20)) return false;
  long long value = 0;
  for (size_t i = 0; i < 13; ++i) value = value * 10 + (d[i] - '0');
  return 97 - value % 97 == number(d, 13, 2);
}

bool german_tax(std::string_view d) {  // ISO 7064 MOD 11,10; of the first ten digits one stands twice or three times
  if (d[0] == '0') return false;
  std::array<int, 10> count{};
  for (size_t i = 0; i < 10; ++i) ++count[static_cast<size_t>(d[i] - '0')];
  const long repeated = std::count_if(count.begin(), count.end(), [](int n) { return n > 1; });
  if (repeated != 1 || *std::max_element(count.begin(), count.end()) > 3) return false;
  int product = 10;
  for (size_t i = 0; i < 10; ++i) {
    int sum = (d[i] - '0' + product) % 10;
    if (sum == 0) sum = 10;
    product = sum * 2 % 11;
  }
  return (11 - product) % 10 == d[10] - '0';
}

bool brazilian(std::string_view d) {
  if (d.find_first_not_of(d[0]) == std::string_view::npos) return false;
  for (size_t n : {9, 10}) {
    int sum = 0;
    for (size_t i = 0; i < n; ++i) sum += (d[i] - '0') * static_cast<int>(n + 1 - i);
    if (sum * 10 % 11 % 10 != d[n] - '0') return false;
  }
  return true;
}

bool polish(std::string_view d) {
  const int month = number(d, 2, 2) % 20;
  return day_of_year(month, number(d, 4, 2)) && number(d, 2, 2) <= 92 && (10 - weighed(d, {1, 3, 7, 9, 1, 3, 7, 9, 1, 3}) % 10) % 10 == d[10] - '0';
}

bool korean(std::string_view d) {
  return day_of_year(number(d, 2, 2), number(d, 4, 2)) && d[6] >= '1' && d[6] <= '8' && (11 - weighed(d, {2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5}) % 11) % 10 == d[12] - '0';
}

bool belgian(std::string_view d) {
  if (!day_of_year(number(d, 2, 2), number(d, 4, 2))) return false;
  long long value = 0;
  for (size_t i = 0; i < 9; ++i) value = value * 10 + (d[i] - '0');
  const int check = number(d, 9, 2);
  return 97 - value % 97 == check || 97 - (2000000000LL + value) % 97 == check;
}

bool dutch(std::string_view d) { return (weighed(d, {9, 8, 7, 6, 5, 4, 3, 2}) - (d[8] - '0')) % 11 == 0 && d != "000000000"; }

bool canadian(std::string_view d) { return d[0] != '0' && d[0] != '8' && luhn(d); }

bool american(std::string_view d) { return d.substr(0, 3) != "000" && d.substr(0, 3) != "666" && d[0] != '9' && d.substr(3, 2) != "00" && d.substr(5, 4) != "0000"; }

bool spanish(std::string_view w) {
  int value = 0;
  for (size_t i = 0; i < 8; ++i) {
    char c = w[i];
    if (i == 0 && c >= 'X' && c <= 'Z') c = static_cast<char>('0' + (c - 'X'));
    if (!digit(c)) return false;
    value = value * 10 + (c - '0');
  }
  return "TRWAGMYFPDXBNJZSQVHLCKE"[value % 23] == w[8];
}

bool italian(std::string_view w) {
  static constexpr int kOdd[26] = {1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
  int sum = 0;
  for (size_t i = 0; i < 15; ++i) {
    const char c = fold(w[i]);
    const int v = digit(c) ? c - '0' : c - 'a';
    sum += i % 2 == 0 ? kOdd[v] : v;
  }
  return sum % 26 == fold(w[15]) - 'a';
}

bool british(std::string_view w) {
  static constexpr std::string_view kNever = "DFIQUV";
  if (kNever.find(w[0]) != std::string_view::npos || kNever.find(w[1]) != std::string_view::npos || w[1] == 'O') return false;
  for (std::string_view pair : {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
    if (w.substr(0, 2) == pair) return false;
  return w.back() >= 'A' && w.back() <= 'D';
}

// Does one of the words stand in the 32 bytes before `at`?
bool named(std::string_view text, size_t at, std::initializer_list<std::string_view> words) {
  const size_t from = at > 32 ? at - 32 : 0;
  std::string before(text.substr(from, at - from));
  std::transform(before.begin(), before.end(), before.begin(), fold);
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return before.find(word) != std::string::npos; });
}

}  // namespace

size_t national_id_end(std::string_view text, size_t at) {
  std::string d;
  const auto fits = [&](std::string_view shape, auto good) -> size_t {
    const size_t end = shaped(text, at, shape, d);
    return end && good() ? end : 0;
  };
  const auto word = [&](size_t size) { return text.substr(at, size); };
  size_t end = 0;
  if (digit(text[at])) {
    size_t digits = 0, last = at;  // none of these has fewer than eight, or four characters in a row that are none
    for (size_t i = at; i < std::min(text.size(), at + 22) && i - last < 4; ++i)
      if (digit(text[i])) ++digits, last = i;
    if (digits < 8) return 0;
    for (std::string_view shape : {"ddd-dd-dddd"})
      if ((end = fits(shape, [&] { return american(d); }))) return end;
    if ((end = fits("dddddddddddddddddd", [&] { return chinese(std::string_view(d).substr(0, 17), d[17]); }))) return end;
    if ((end = fits("dddddddddddddddddx", [&] { return chinese(d, 'X'); }))) return end;
    if ((end = fits("dddddddddddddddddX", [&] { return chinese(d, 'X'); }))) return end;
    for (std::string_view shape : {"ddddddddddddddd", "d dd dd dd ddd ddd dd", "d-dd-dd-dd-ddd-ddd-dd", "ddddddddddddd dd"})
      if ((end = fits(shape, [&] { return french(d); }))) return end;
    if ((end = fits("ddd.ddd.ddd-dd", [&] { return brazilian(d); }))) return end;
    if ((end = fits("ddddddddddd", [&] { return polish(d) || german_tax(d) || (brazilian(d) && named(text, at, {"cpf"})); }))) return end;
    if ((end = fits("dd ddd ddd ddd", [&] { return german_tax(d); }))) return end;
    if ((end = fits("dddddd-ddddddd", [&] { return korean(d); }))) return end;
    if ((end = fits("dddddd-dddd", [&] { return day_of_year(number(d, 2, 2), number(d, 4, 2)) && luhn(d); }))) return end;
    if ((end = fits("dddddddd-dddd", [&] { return number(d, 0, 4) > 1899 && number(d, 0, 4) < 2100 && day_of_year(number(d, 4, 2), number(d, 6, 2)) && luhn(std::string_view(d).substr(2)); }))) return end;
    if ((end = fits("dd.dd.dd-ddd.dd", [&] { return belgian(d); }))) return end;
    for (std::string_view shape : {"ddd-ddd-ddd", "ddd ddd ddd"})
      if ((end = fits(shape, [&] { return canadian(d) && (shape[3] == '-' || named(text, at, {"sin", "social insurance"})); }))) return end;
    for (std::string_view shape : {"dddd dddd dddd", "dddd-dddd-dddd"})
      if ((end = fits(shape, [&] { return d[0] >= '2' && verhoeff(d); }))) return end;
    if ((end = fits("ddddddddd", [&] { return dutch(d) && named(text, at, {"bsn", "burgerservice", "sofi"}); }))) return end;
    if ((end = fits("ddddddddA", [&] { return spanish(word(9)); }))) return end;
    return 0;
  }
  if ((end = fits("AdddddddA", [&] { return word(1)[0] >= 'X' && word(1)[0] <= 'Z' && spanish(word(9)); }))) return end;
  if ((end = fits("aaaaaaddaddaddda", [&] { return italian(word(16)); }))) return end;
  for (std::string_view shape : {"AAddddddA", "AA dd dd dd A"})
    if ((end = fits(shape, [&] { return british(word(shape.size())); }))) return end;
  return 0;
}

}  // namespace ingot
