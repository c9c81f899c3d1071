#include <array>

#include "text/tokenizer_parts.h"
#include "text/utf8.h"

namespace ingot {
namespace {

struct Alphabet {
  std::array<int32_t, 256> code;   // byte -> character
  std::array<int16_t, 512> byte;   // character -> byte, or -1
  Alphabet() {
    byte.fill(-1);
    int32_t next = 256;
    for (int32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      const int32_t c = printable ? b : next++;
      code[static_cast<size_t>(b)] = c;
      byte[static_cast<size_t>(c)] = static_cast<int16_t>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet a;
  return a;
}

}  // namespace

std::string to_byte_alphabet(std::string_view raw) {
  std::string out;
  for (unsigned char b : raw) append_utf8(out, alphabet().code[b]);
  return out;
}

std::string from_byte_alphabet(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto b = static_cast<unsigned char>(text[i]);
    int32_t c = b;
    if (b >= 0xc0 && b < 0xe0 && i + 1 < text.size()) c = (b & 31) << 6 | (text[++i] & 63);
    else if (b >= 0x80) return std::string(text);
    if (c >= 512 || alphabet().byte[static_cast<size_t>(c)] < 0) return std::string(text);
    out += static_cast<char>(alphabet().byte[static_cast<size_t>(c)]);
  }
  return out;
}

}  // namespace ingot
