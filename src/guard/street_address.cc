#include "guard/street_address.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "guard/ascii.h"

namespace ingot {
namespace {

bool name_byte(char c) { return upper(c) || (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80; }

struct Word {
  std::string_view text;
  size_t begin = 0, end = 0;
  bool joined = false;  // behind nothing but one blank, or a comma and a blank
  bool comma = false;
};

// The word behind `at`, over one blank, or a comma and a blank.
Word next_word(std::string_view text, size_t at) {
  Word word;
  if (at < text.size() && text[at] == ',') word.comma = true, ++at;
  if (at < text.size() && text[at] == ' ') word.joined = true, ++at;
  word.begin = at;
  while (at < text.size() && (name_byte(text[at]) || digit(text[at]) || text[at] == '\'' || text[at] == '-' || text[at] == '/')) ++at;
  word.end = at;
  word.text = text.substr(word.begin, word.end - word.begin);
  return word;
}

bool one_of(std::string_view word, std::initializer_list<std::string_view> list) {
  std::string low(word);
  for (char& c : low) c |= upper(c) ? 0x20 : 0;
  return std::find(list.begin(), list.end(), low) != list.end();
}

// Digits, at most five, and at most one letter: "12", "12a", "221B".
bool house_number(std::string_view word) {
  size_t digits = 0;
  while (digits < word.size() && digit(word[digits])) ++digits;
  return digits > 0 && digits <= 5 && word[0] != '0' && (digits == word.size() || (digits + 1 == word.size() && name_byte(word[digits])));
}

bool capital(std::string_view word) { return !word.empty() && (upper(word[0]) || static_cast<unsigned char>(word[0]) >= 0xc3); }

// "Apt 4", "Suite 210", "#5" behind an address.
size_t with_unit(std::string_view text, size_t end) {
  if (end < text.size() && text[end] == '.') ++end;
  const Word unit = next_word(text, end);
  if (unit.joined && one_of(unit.text, {"apt", "apartment", "suite", "unit", "flat", "floor", "room", "ste"})) {
    size_t at = unit.end;
    if (at < text.size() && text[at] == '.') ++at;
    const Word number = next_word(text, at);
    if (number.joined && !number.comma && !number.text.empty() && number.text.size() <= 5) return number.end;
  }
  if (unit.joined && unit.text.empty() && unit.begin < text.size() && text[unit.begin] == '#') {
    size_t at = unit.begin + 1;
    while (at < text.size() && digit(text[at])) ++at;
    if (at > unit.begin + 1) return at;
  }
  return end > 0 && text[end - 1] == '.' ? end - 1 : end;
}

}  // namespace

size_t street_address_end(std::string_view text, size_t at) {
  const std::string_view line = text.substr(at, 120);
  Word first = next_word(line, 0);
  if (first.begin != 0 || first.text.empty()) return 0;
  if (digit(line[0])) {
    if (!house_number(first.text)) return 0;
    Word word = next_word(line, first.end);
    if (one_of(word.text, {"bis", "ter"})) word = next_word(line, word.end);
    if (!word.joined) return 0;
    if (one_of(word.text, {"rue", "avenue", "boulevard", "place", "chemin", "impasse", "allée", "quai", "route", "cours", "passage", "square"}) && !capital(word.text)) {
      size_t end = 0;
      for (int i = 0; i < 6; ++i) {
        word = next_word(line, word.end);
        if (!word.joined || word.comma || word.text.empty()) break;
        if (capital(word.text)) end = word.end;
        else if (!one_of(word.text, {"de", "du", "des", "la", "le", "les", "l", "d", "aux", "au", "en", "sur"}) && word.text.find('\'') == std::string_view::npos) break;
        else if (word.text.size() > 2 && word.text.find('\'') != std::string_view::npos) end = word.end;
      }
      return end ? at + end : 0;
    }
    for (int i = 0; i < 5; ++i) {
      if (!word.joined || word.comma || word.text.empty()) return 0;
      const bool suffix = one_of(word.text, {"street", "st", "avenue", "ave", "road", "rd", "lane", "ln", "drive", "dr", "boulevard", "blvd", "court", "ct", "way", "place", "pl", "square", "sq", "terrace",
                                             "highway", "hwy", "close", "crescent", "parkway", "pkwy", "circle", "cir", "trail", "alley", "gardens", "mews", "row", "hill", "grove", "walk"});
      if (i > 0 && suffix && capital(word.text)) return at + with_unit(line, word.end);
      if (!capital(word.text) && !digit(word.text[0])) return 0;
      word = next_word(line, word.end);
    }
    return 0;
  }
  if (one_of(first.text, {"p", "po", "post"})) {
    for (std::string_view start : {"PO Box ", "P.O. Box ", "P. O. Box ", "Post Office Box ", "PO box ", "P.O. box "}) {
      if (!line.starts_with(start)) continue;
      size_t end = start.size();
      while (end < line.size() && digit(line[end])) ++end;
      return end > start.size() ? at + end : 0;
    }
    return 0;
  }
  if (!capital(first.text)) return 0;
  // "Hauptstraße 12", "Lange Gasse 3", "Unter den Linden 77"
  static constexpr std::string_view kGerman[] = {"straße", "strasse", "str", "weg", "platz", "gasse", "allee", "ring", "damm", "ufer", "chaussee", "Straße", "Strasse", "Weg", "Platz", "Gasse", "Allee"};
  Word word = first;
  for (int i = 0; i < 3 && !word.text.empty(); ++i) {
    const bool street = std::any_of(std::begin(kGerman), std::end(kGerman), [&](std::string_view end) { return word.text.ends_with(end) && (upper(end[0]) ? i > 0 && word.text == end : word.text.size() > end.size() + 2 && capital(word.text)); });
    size_t end = word.end;
    if (street && end < line.size() && line[end] == '.') ++end;
    const Word number = next_word(line, end);
    if (street && number.joined && !number.comma && house_number(number.text)) return at + number.end;
    if (street || !number.joined || number.comma) break;
    word = number;
  }
  if (one_of(first.text, {"calle", "avenida", "plaza", "paseo", "via", "viale", "piazza", "corso", "rua", "praça"})) {
    word = next_word(line, first.end);
    for (int i = 0; i < 5 && word.joined && !word.text.empty(); ++i) {
      if (i > 0 && house_number(word.text)) return at + word.end;
      if (word.comma || (!capital(word.text) && !one_of(word.text, {"de", "del", "la", "las", "los", "di", "della", "dei", "degli", "do", "da", "dos"}))) return 0;
      word = next_word(line, word.end);
    }
  }
  return 0;
}

}  // namespace ingot
