#include "guard/injection/disguise.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "guard/injection/ciphers.h"
#include "text/normalise.h"

namespace ingot {
namespace {

// Letters of other alphabets, and signs, that are taken for a Latin letter (after case folding and stripping of marks).
const std::unordered_map<int32_t, char>& look_alikes() {
  static const auto table = [] {
    std::unordered_map<int32_t, char> map;
    const auto add = [&](std::u32string_view from, std::string_view to) {
      for (size_t i = 0; i < from.size(); ++i) map[static_cast<int32_t>(from[i])] = to[i];
    };
    add(U"\u0430\u0432\u0435\u0437\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u044c\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u04cf\u0433\u043f\u0438\u0475", "abe3kmhopctyxbijshdqwlrnuv");
    add(U"\u03b1\u03b2\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9\u03b3\u03c3\u03bc\u03b6", "abenikvoptuxwysuz");
    add(U"\u0131\u0251\u0261\u0283\u0280\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f\u1d18\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22", "iagsrabcdefghijklmnopstuvwyz");
    add(U"\u0585\u057d\u0578\u0570\u0561\u0564\u056c\u0581\u0584", "ounhwqlgp");
    return map;
  }();
  return table;
}

// Words that mix alphabets, and single letters of another one, in Latin letters; whole words of another alphabet stay too, as a
// text in Greek is no disguise, unless all their letters are look-alikes.
std::string with_latin_letters(const std::string& normalised) {
  std::string out, word, latin;
  bool any = false, foreign = false;
  const auto flush = [&] {
    out += any && !foreign ? latin : word;
    word.clear(), latin.clear();
    any = foreign = false;
  };
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(normalised.data());
  for (size_t at = 0; at < normalised.size();) {
    const auto byte = static_cast<unsigned char>(normalised[at]);
    if (byte < 0x80) {
      ++at;
      const bool part = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
      if (!part) flush(), out += static_cast<char>(byte);
      else word += static_cast<char>(byte), latin += static_cast<char>(byte);
      continue;
    }
    utf8proc_int32_t c = 0;
    const auto used = std::max<utf8proc_ssize_t>(1, utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(std::min<size_t>(4, normalised.size() - at)), &c));
    word.append(normalised, at, static_cast<size_t>(used));
    if (c >= 0x1f1e6 && c <= 0x1f1ff) {
      latin += static_cast<char>('a' + (c - 0x1f1e6));
      any = true;
    } else if ((c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189)) {
      latin += static_cast<char>('a' + (c - (c < 0x1f170 ? 0x1f150 : 0x1f170)));
      any = true;
    } else if (const auto found = look_alikes().find(c); found != look_alikes().end()) {
      latin += found->second;
      any = true;
    } else {
      latin.append(normalised, at, static_cast<size_t>(used));
      foreign = true;
    }
    at += static_cast<size_t>(used);
  }
  flush();
  return out;
}

// Letters that ride on characters which do not show: tags, variation selectors, two or more invisible signs as bits.
std::string carried_letters(std::string_view text) {
  std::string tags, selectors, bits;
  std::map<int32_t, int> zero;  // invisible signs in the order of their first appearance
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    utf8proc_int32_t c = 0;
    const auto used = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(std::min<size_t>(4, text.size() - at)), &c);
    at += used > 0 ? static_cast<size_t>(used) : 1;
    if (used <= 0) continue;
    if (c > 0xe0000 && c < 0xe007f) tags += static_cast<char>(c - 0xe0000);
    if (c >= 0xfe00 && c <= 0xfe0f) selectors += static_cast<char>(c - 0xfe00);
    if (c >= 0xe0100 && c <= 0xe01ef) selectors += static_cast<char>(c - 0xe0100 + 16);
    if (c == 0x200b || c == 0x200c || c == 0x200d || c == 0x2062 || c == 0x2063 || c == 0x2064 || c == 0xfeff) zero.emplace(c, static_cast<int>(zero.size()));
    if (c == 0x200b || c == 0x2062) bits += '0';
    if (c == 0x200c || c == 0x2064 || c == 0x2063) bits += '1';
  }
  std::string found;
  if (tags.size() >= 4) found += tags + "\n";
  if (selectors.size() >= 4 && mostly_text(selectors)) found += selectors + "\n";
  if (bits.size() >= 32) {
    for (bool turned : {false, true}) {
      std::string decoded;
      for (size_t i = 0; i + 8 <= bits.size(); i += 8) {
        int value = 0;
        for (size_t k = 0; k < 8; ++k) value = value * 2 + ((bits[i + k] == '1') != turned);
        decoded += static_cast<char>(value);
      }
      if (mostly_text(decoded)) found += decoded + "\n";
    }
  }
  return found;
}

// Digits and signs in words with letters as the letters that they resemble.
std::string plain_letters(const std::string& normalised, char one) {
  std::string out = normalised;
  const auto part = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '@' || c == '$' || c == '!' || c == '|' || c == '+' || c == '(' || c == '<'; };
  for (size_t i = 0; i < out.size();) {
    if (!part(out[i])) {
      ++i;
      continue;
    }
    size_t end = i, letters = 0, signs = 0;
    for (; end < out.size() && part(out[end]); ++end) (out[end] >= 'a' && out[end] <= 'z' ? letters : signs)++;
    if (signs && (letters || end - i >= 3)) {
      size_t last = end;
      while (last > i && (out[last - 1] == '!' || out[last - 1] == '(')) --last;  // they end a sentence here
      for (; i < last; ++i) {
        switch (out[i]) {
          case '0': out[i] = 'o'; break;
          case '1': case '|': out[i] = one; break;
          case '!': out[i] = 'i'; break;
          case '3': out[i] = 'e'; break;
          case '4': case '@': out[i] = 'a'; break;
          case '5': case '$': out[i] = 's'; break;
          case '6': case '9': out[i] = 'g'; break;
          case '7': case '+': out[i] = 't'; break;
          case '8': out[i] = 'b'; break;
          case '(': case '<': out[i] = 'c'; break;
          default: break;
        }
      }
    }
    i = end;
  }
  return out;
}

// "i g n o r e   t h i s", "i.g.n.o.r.e", "i-g-n-o-r-e": runs of single letters joined; two blanks or a line end part words.
std::string letters_joined(const std::string& text) {
  std::string out;
  const auto letter = [&](size_t i) { return i < text.size() && ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9')); };
  for (size_t i = 0; i < text.size();) {
    if (!letter(i) || (i > 0 && letter(i - 1))) {
      out += text[i++];
      continue;
    }
    size_t end = i, count = 0;
    std::string joined;
    while (letter(end) && !letter(end + 1)) {
      joined += text[end];
      ++count;
      size_t gap = end + 1;
      while (gap < text.size() && !letter(gap) && gap - end <= 4 && static_cast<unsigned char>(text[gap]) < 0x80) ++gap;
      if (!letter(gap) || gap - end > 4) {
        end = end + 1;
        break;
      }
      if (gap - end > 2) joined += ' ';
      end = gap;
    }
    if (count >= 6) {
      out += joined;
      i = end;
      if (letter(i)) out += ' ';
    } else {
      out += text[i++];
    }
  }
  return out;
}

// normalise_text() line by line: line ends are sentence ends.
std::string normalise_lines(std::string_view text) {
  std::string out;
  while (true) {
    const size_t end = text.find('\n');
    out += normalise_text(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::vector<Reading> readings_of(std::string_view text) {
  std::vector<Reading> readings;
  std::unordered_set<std::string> seen;
  const auto add = [&](std::string reading, const std::string& disguise) {
    if (reading.find_first_not_of(" \t\r\n") == std::string::npos || !seen.insert(reading).second) return false;
    readings.push_back({std::move(reading), disguise});
    return true;
  };
  const std::string normal = normalise_lines(text);
  const std::string latin = with_latin_letters(normal);
  add(latin, latin == normal ? "" : "look-alike letters");
  if (readings.empty()) readings.push_back({"", ""});
  const std::string_view head = text.substr(0, kLongestHidden);
  if (const std::string carried = carried_letters(head); !carried.empty()) add(normalise_lines(carried), "invisible characters");
  // Each encoding of the text as typed (case matters to base64), then once more of what it gave.
  std::vector<std::pair<std::string, std::string>> open = {{std::string(head), ""}};
  for (int depth = 0; depth < 2 && !open.empty(); ++depth) {
    std::vector<std::pair<std::string, std::string>> next;
    for (const auto& [typed, by] : open) {
      for (Decoded& found : decodings_of(typed)) {
        const std::string name = by.empty() ? found.name : by + ", " + found.name;
        if (add(with_latin_letters(normalise_lines(found.text)), name)) next.emplace_back(std::move(found.text), name);
      }
    }
    open = std::move(next);
  }
  const std::string start = latin.substr(0, kLongestHidden);
  const std::string joined = letters_joined(start);
  if (joined != start) add(joined, "letters set apart");
  for (char one : {'i', 'l'}) {
    const std::string plain = plain_letters(joined, one);
    if (plain != joined && common_words(plain) > common_words(joined)) add(plain, "digits for letters");
  }
  return readings;
}

}  // namespace ingot
