#include <array>
#include <cctype>
#include <cstdlib>

#include "foundry/sources/source.h"

namespace ingot {
namespace {

struct Zone {
  std::string_view name;
  int minutes;
};
// Names as bug trackers print them; ambiguous ones (IST, BST, CST) as the trackers in use mean them.
constexpr Zone kZones[] = {{"UTC", 0},    {"GMT", 0},     {"Z", 0},       {"WET", 0},      {"WEST", 60},  {"BST", 60},   {"CET", 60},
                           {"CEST", 120}, {"MET", 60},    {"MEST", 120},  {"EET", 120},    {"EEST", 180}, {"MSK", 180},  {"MSD", 240},
                           {"IST", 330},  {"JST", 540},   {"KST", 540},   {"HKT", 480},    {"SGT", 480},  {"AWST", 480}, {"ACST", 570},
                           {"AEST", 600}, {"AEDT", 660},  {"NZST", 720},  {"NZDT", 780},   {"BRT", -180}, {"ART", -180}, {"NST", -210},
                           {"AST", -240}, {"ADT", -180},  {"EST", -300},  {"EDT", -240},   {"CST", -360}, {"CDT", -300}, {"MST", -420},
                           {"MDT", -360}, {"PST", -480},  {"PDT", -420},  {"AKST", -540},  {"AKDT", -480}, {"HST", -600}};
constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};

// Days since 1970 of a proleptic Gregorian date (Hinnant's civil-from-days arithmetic, inverted).
int64_t days_from_civil(int64_t y, int m, int d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct Scanner {
  std::string_view text;
  size_t at = 0;
  void spaces() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == ',')) ++at;
  }
  bool take(char c) {
    if (at < text.size() && text[at] == c) return ++at, true;
    return false;
  }
  int digits(size_t most) {  // -1 if there is none
    int value = 0;
    size_t count = 0;
    while (count < most && at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) {
      value = value * 10 + (text[at++] - '0');
      ++count;
    }
    return count ? value : -1;
  }
  std::string_view word() {
    const size_t begin = at;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at]))) ++at;
    return text.substr(begin, at - begin);
  }
  bool done() const { return at >= text.size(); }
};

int month_of(std::string_view word) {
  if (word.size() < 3) return 0;
  for (size_t i = 0; i < kMonths.size(); ++i) {
    bool same = true;
    for (size_t j = 0; j < 3; ++j) same &= std::tolower(static_cast<unsigned char>(word[j])) == kMonths[i][j];
    if (same) return static_cast<int>(i) + 1;
  }
  return 0;
}

// "11:46[:38[.5]] [AM|PM] [zone]" or nothing; false if something else follows.
bool clock_and_zone(Scanner& in, int64_t& seconds, bool& zoned) {
  seconds = 0;
  zoned = false;
  in.spaces();
  in.take('T') || in.take('t');
  in.spaces();
  if (in.done()) return true;
  const int hour = in.digits(2);
  if (hour < 0 || hour > 24 || !in.take(':')) return false;
  const int minute = in.digits(2);
  int second = 0;
  if (in.take(':')) second = in.digits(2);
  if (minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (in.take('.')) in.digits(9);
  seconds = hour * 3600 + minute * 60 + second;
  in.spaces();
  while (!in.done()) {
    const bool plus = in.take('+'), minus = !plus && in.take('-');
    if (plus || minus) {
      const size_t before = in.at;
      int value = in.digits(4);
      if (value < 0) return false;
      int offset = in.at - before <= 2 ? value * 60 : value / 100 * 60 + value % 100;
      if (in.at - before <= 2 && in.take(':')) {
        const int extra = in.digits(2);
        if (extra < 0) return false;
        offset += extra;
      }
      if (offset > 14 * 60) return false;
      seconds -= (plus ? 1 : -1) * offset * 60;
      zoned = true;
    } else if (in.take('(')) {  // RFC 2822 comment: "+0100 (CET)"
      while (!in.done() && !in.take(')')) ++in.at;
    } else {
      const std::string_view word = in.word();
      if (word.empty()) return false;
      if (word == "AM" || word == "am") {
        if (hour == 12) seconds -= 12 * 3600;
      } else if (word == "PM" || word == "pm") {
        if (hour < 12) seconds += 12 * 3600;
      } else {
        bool known = false;
        for (const Zone& zone : kZones) {
          if (word.size() == zone.name.size() && std::equal(word.begin(), word.end(), zone.name.begin(), [](char a, char b) {
                return std::toupper(static_cast<unsigned char>(a)) == b;
              })) {
            seconds -= zone.minutes * 60;
            known = true;
            break;
          }
        }
        if (!known) return false;
        zoned = true;
      }
    }
    in.spaces();
  }
  return true;
}

}  // namespace

std::optional<int64_t> parse_time(std::string_view text, bool* assumed_utc) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  if (text.empty() || text.size() > 64) return std::nullopt;
  const bool number = text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (number && text.size() >= 9) {
    const double value = std::strtod(std::string(text).c_str(), nullptr);
    const double seconds = value > 1e11 ? value / 1000 : value;
    if (seconds > 0 && seconds < 1e11) return static_cast<int64_t>(seconds);
  }
  Scanner in{text};
  int64_t year = -1;
  int month = 0, day = -1;
  if (std::isalpha(static_cast<unsigned char>(text[0]))) {  // "Tue, 05 Mar 2002 …"
    in.word();
    in.spaces();
  }
  const size_t begin = in.at;
  const int first = in.digits(4);
  if (first < 0) return std::nullopt;
  if (in.at - begin == 4) {
    year = first;
    const bool dash = in.take('-') || in.take('/');
    if (!dash) return std::nullopt;
    month = in.digits(2);
    if (!(in.take('-') || in.take('/'))) return std::nullopt;
    day = in.digits(2);
  } else {
    day = first;
    in.spaces();
    in.take('/') || in.take('-');
    month = month_of(in.word());
    in.spaces();
    in.take('/') || in.take('-');
    const size_t year_at = in.at;
    year = in.digits(4);
    if (in.at - year_at == 2) year += year < 70 ? 2000 : 1900;
  }
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  int64_t seconds = 0;
  bool zoned = false;
  if (!clock_and_zone(in, seconds, zoned)) return std::nullopt;
  if (assumed_utc && !zoned) *assumed_utc = true;
  return days_from_civil(year, month, day) * 86400 + seconds;
}

}  // namespace ingot
