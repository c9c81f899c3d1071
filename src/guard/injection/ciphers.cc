#include "guard/injection/ciphers.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "guard/ascii.h"

namespace ingot {
namespace {

int hex_of(char c) { return digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

int base64_of(char c) {
  if (upper(c)) return c - 'A';
  if (lower(c)) return c - 'a' + 26;
  if (digit(c)) return c - '0' + 52;
  return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}
int base32_of(char c) { return upper(c) ? c - 'A' : c >= '2' && c <= '7' ? c - '2' + 26 : -1; }

std::string from_bits(std::string_view run, int bits, int (*value)(char)) {
  std::string out;
  uint32_t held = 0;
  int have = 0;
  for (char c : run) {
    const int v = value(c);
    if (v < 0) continue;
    held = held << bits | static_cast<uint32_t>(v);
    have += bits;
    if (have >= 8) {
      have -= 8;
      out += static_cast<char>(held >> have & 0xff);
      held &= (1u << have) - 1;
    }
  }
  return out;
}

// Replaces each run of `part` characters of at least `least` by what `decode` makes of it, where that reads as text.
std::string replaced(std::string_view text, size_t least, const std::function<bool(char)>& part, const std::function<std::string(std::string_view)>& decode) {
  std::string out;
  bool any = false;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && part(text[end])) ++end;
    std::string plain;
    if (end - i >= least) plain = decode(text.substr(i, end - i));
    if (plain.size() >= 5 && mostly_text(plain)) {
      out += plain;
      any = true;
    } else {
      out += text.substr(i, std::max<size_t>(end - i, 1));
    }
    i = std::max(end, i + 1);
  }
  return any ? out : "";
}

std::string hex_bytes(std::string_view run) {
  std::string out;
  int high = -1;
  for (size_t i = 0; i < run.size(); ++i) {
    if (run[i] == '\\' || run[i] == 'x' || run[i] == 'X' || run[i] == ' ' || run[i] == ',' || run[i] == ':') continue;
    if (run[i] == '0' && i + 1 < run.size() && run[i + 1] == 'x') continue;
    const int v = hex_of(run[i]);
    if (v < 0) return "";
    if (high < 0) high = v;
    else out += static_cast<char>(high * 16 + v), high = -1;
  }
  return high < 0 ? out : "";
}

std::string code_numbers(std::string_view run, int base) {
  std::string out;
  int value = 0, digits = 0;
  for (size_t i = 0; i <= run.size(); ++i) {
    const char c = i < run.size() ? run[i] : ' ';
    if (digit(c)) {
      value = value * base + (c - '0');
      if (++digits > (base == 2 ? 8 : 3)) return "";
      if (base == 2 && digits == 8) out += static_cast<char>(value), value = digits = 0;
    } else if (digits) {
      if (base == 2 || value > 255) return "";
      out += static_cast<char>(value);
      value = digits = 0;
    }
  }
  return out;
}

std::string percents(std::string_view text, char sign) {
  std::string out;
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == sign && i + 2 < text.size() && hex_of(text[i + 1]) >= 0 && hex_of(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_of(text[i + 1]) * 16 + hex_of(text[i + 2]));
      i += 2;
      ++count;
    } else if (text[i] == sign && sign == '=' && i + 1 < text.size() && text[i + 1] == '\n') {
      ++i;
    } else {
      out += sign == '%' && text[i] == '+' ? ' ' : text[i];
    }
  }
  return count >= 3 ? out : "";
}

std::string morse(std::string_view text) {
  static const std::unordered_map<std::string, char> table = {
      {".-", 'a'}, {"-...", 'b'}, {"-.-.", 'c'}, {"-..", 'd'}, {".", 'e'}, {"..-.", 'f'}, {"--.", 'g'}, {"....", 'h'}, {"..", 'i'}, {".---", 'j'}, {"-.-", 'k'}, {".-..", 'l'},
      {"--", 'm'}, {"-.", 'n'}, {"---", 'o'}, {".--.", 'p'}, {"--.-", 'q'}, {".-.", 'r'}, {"...", 's'}, {"-", 't'}, {"..-", 'u'}, {"...-", 'v'}, {".--", 'w'}, {"-..-", 'x'},
      {"-.--", 'y'}, {"--..", 'z'}};
  return replaced(text, 16, [](char c) { return c == '.' || c == '-' || c == ' ' || c == '/' || c == '\n'; }, [](std::string_view run) {
    std::string out, sign;
    int blanks = 0;
    for (size_t i = 0; i <= run.size(); ++i) {
      const char c = i < run.size() ? run[i] : ' ';
      if (c == '.' || c == '-') {
        if (blanks > 1 && !out.empty() && out.back() != ' ') out += ' ';
        blanks = 0;
        sign += c;
        continue;
      }
      if (!sign.empty()) {
        const auto found = table.find(sign);
        if (found == table.end()) return std::string();
        out += found->second;
        sign.clear();
      }
      blanks += c == ' ' ? 1 : 2;
    }
    return " " + out + " ";
  });
}

std::string braille(std::string_view text) {
  // Dots of the letters a to z in Unicode's order of bits.
  static constexpr unsigned char kDots[26] = {0x01, 0x03, 0x09, 0x19, 0x11, 0x0b, 0x1b, 0x13, 0x0a, 0x1a, 0x05, 0x07, 0x0d, 0x1d, 0x15, 0x0f, 0x1f, 0x17, 0x0e, 0x1e, 0x25, 0x27, 0x3a, 0x2d, 0x3d, 0x35};
  std::string out;
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
    if (i + 2 < text.size() && byte(i) == 0xe2 && byte(i + 1) >= 0xa0 && byte(i + 1) <= 0xa3) {
      const unsigned dots = (byte(i + 1) & 3u) << 6 | (byte(i + 2) & 0x3fu);
      const auto* found = std::find(std::begin(kDots), std::end(kDots), dots);
      out += found == std::end(kDots) ? ' ' : static_cast<char>('a' + (found - kDots));
      ++count;
      i += 2;
    } else {
      out += text[i];
    }
  }
  return count >= 8 ? out : "";
}

std::string shifted(std::string_view text, int by) {
  std::string out(text);
  for (char& c : out) {
    if (lower(c)) c = static_cast<char>('a' + (c - 'a' + by) % 26);
    else if (upper(c)) c = static_cast<char>('A' + (c - 'A' + by) % 26);
  }
  return out;
}

}  // namespace

bool mostly_text(std::string_view bytes) {
  size_t good = 0, total = 0;
  const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data());
  for (size_t at = 0; at < bytes.size(); ++total) {
    const auto c = static_cast<unsigned char>(bytes[at]);
    if (c < 0x80) {
      good += letter(static_cast<char>(c)) || digit(static_cast<char>(c)) || c == ' ' || c == '\n' || std::string_view(".,;:!?'\"-_()/\t\r<>[]{}=@#*&").find(static_cast<char>(c)) != std::string_view::npos;
      ++at;
      continue;
    }
    utf8proc_int32_t point = 0;
    const auto used = utf8proc_iterate(data + at, static_cast<utf8proc_ssize_t>(std::min<size_t>(4, bytes.size() - at)), &point);
    if (used <= 0) {
      ++at;
      continue;
    }
    const auto category = utf8proc_category(point);
    good += category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    at += static_cast<size_t>(used);
  }
  return total > 0 && good * 10 >= total * 9;
}

size_t common_words(std::string_view text) {
  static const std::unordered_set<std::string_view> words = {
      "the", "of", "and", "to", "in", "is", "that", "it", "for", "on", "are", "as", "with", "this", "be", "from", "have", "or", "not", "what", "all", "were", "when", "your", "can", "use", "how", "will",
      "other", "about", "out", "then", "them", "these", "some", "would", "make", "like", "into", "has", "more", "write", "see", "no", "way", "could", "my", "than", "been", "now", "find", "any", "new",
      "give", "most", "after", "only", "tell", "show", "me", "you", "do", "if", "an", "by", "at", "we", "without", "must", "every", "before", "above", "previous", "ignore", "instructions", "instruction",
      "system", "prompt", "rules", "password", "secret", "reveal", "print", "repeat", "forget", "disregard", "pretend", "act", "model", "assistant", "answer", "user", "data", "send", "bypass", "override",
      "never", "always", "should", "please", "message", "text", "word", "words", "follow", "output", "restrictions", "unrestricted", "mode", "developer", "admin", "hidden", "key", "instead", "content"};
  size_t count = 0;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    std::string word;
    while (end < text.size() && letter(text[end])) word += static_cast<char>(text[end] | 0x20), ++end;
    if (word.size() > 1 && words.contains(word)) ++count;
    i = std::max(end, i + 1);
  }
  return count;
}

std::vector<Decoded> decodings_of(std::string_view text) {
  std::vector<Decoded> found;
  const auto take = [&](std::string plain, const char* name) {
    if (!plain.empty() && plain != text) found.push_back({std::move(plain), name});
  };
  const auto base64_part = [](char c) { return base64_of(c) >= 0 || c == '='; };
  take(replaced(text, 12, base64_part, [](std::string_view run) {
         // A word of small letters alone is a word, and a path is a path.
         if (std::none_of(run.begin(), run.end(), [](char c) { return upper(c) || digit(c); })) return std::string();
         return from_bits(run, 6, base64_of);
       }), "base64");
  // The same broken over lines.
  if (text.find('\n') != std::string_view::npos) {
    take(replaced(text, 40, [&](char c) { return base64_part(c) || c == '\n' || c == '\r'; }, [](std::string_view run) {
           return run.find('\n') == std::string_view::npos ? std::string() : from_bits(run, 6, base64_of);
         }), "base64");
  }
  take(replaced(text, 16, [](char c) { return base32_of(c) >= 0 || c == '='; }, [](std::string_view run) { return from_bits(run, 5, base32_of); }), "base32");
  take(replaced(text, 12, [](char c) { return hex_of(c) >= 0 || c == '\\' || c == 'x' || c == ' ' || c == ',' || c == ':'; }, hex_bytes), "hex");
  take(replaced(text, 32, [](char c) { return c == '0' || c == '1' || c == ' ' || c == '\n'; }, [](std::string_view run) { return code_numbers(run, 2); }), "binary");
  take(replaced(text, 16, [](char c) { return digit(c) || c == ' ' || c == ','; }, [](std::string_view run) { return code_numbers(run, 10); }), "character codes");
  take(percents(text, '%'), "percent encoding");
  take(percents(text, '='), "quoted-printable");
  if (text.find("-.") != std::string_view::npos || text.find(".-") != std::string_view::npos) take(morse(text), "morse");
  take(braille(text), "braille");
  // A cipher of the whole text, or of a part, shows itself by words that make sense only behind it.
  const size_t plain = common_words(text);
  const auto cipher = [&](std::string deciphered, const char* name) {
    const size_t count = common_words(deciphered);
    if (count >= 2 && (count > plain || count >= 4)) take(std::move(deciphered), name);
  };
  cipher(shifted(text, 13), "rot13");
  std::string mirrored(text);
  for (char& c : mirrored) {
    if (lower(c)) c = static_cast<char>('z' - (c - 'a'));
    else if (upper(c)) c = static_cast<char>('Z' - (c - 'A'));
  }
  cipher(std::move(mirrored), "atbash");
  if (plain < 3) {
    for (int by : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}) {
      std::string moved = shifted(text.substr(0, 4096), by);
      if (common_words(moved) > 2 + 3 * plain) {
        take(shifted(text, by), "shifted letters");
        break;
      }
    }
  }
  std::string backwards(text.rbegin(), text.rend());
  cipher(std::move(backwards), "text backwards");
  return found;
}

}  // namespace ingot
