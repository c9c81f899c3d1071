#include <cstdint>

#include "foundry/sources/source.h"

namespace ingot {
namespace {

void append_code_point(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

// 0x80 to 0x9F of Windows-1252; holes become U+FFFD.
constexpr uint16_t kWindows1252[32] = {0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                       0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                       0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178};

}  // namespace

bool is_utf8(std::string_view s) {
  size_t i = 0;
  while (i < s.size()) {
    const auto c = static_cast<unsigned char>(s[i]);
    size_t more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : 9;
    if (more == 9 || i + more >= s.size() + (more == 0)) return false;
    for (size_t j = 1; j <= more; ++j) {
      const auto t = static_cast<unsigned char>(s[i + j]);
      if ((t & 0xC0) != 0x80) return false;
      if (j == 1 && ((c == 0xE0 && t < 0xA0) || (c == 0xED && t > 0x9F) || (c == 0xF0 && t < 0x90) || (c == 0xF4 && t > 0x8F))) return false;
    }
    i += more + 1;
  }
  return true;
}

std::string to_utf8(std::string& bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() >= 3 && byte(0) == 0xEF && byte(1) == 0xBB && byte(2) == 0xBF) bytes.erase(0, 3);
  if (bytes.size() >= 2 && ((byte(0) == 0xFF && byte(1) == 0xFE) || (byte(0) == 0xFE && byte(1) == 0xFF))) {
    const int low = byte(0) == 0xFF ? 0 : 1;
    std::string out;
    for (size_t i = 2; i + 1 < bytes.size(); i += 2) {
      uint32_t c = byte(i + low) | byte(i + 1 - low) << 8;
      if (c >= 0xD800 && c < 0xDC00 && i + 3 < bytes.size()) {
        const uint32_t d = byte(i + 2 + low) | byte(i + 3 - low) << 8;
        if (d >= 0xDC00 && d < 0xE000) {
          c = 0x10000 + ((c - 0xD800) << 10) + (d - 0xDC00);
          i += 2;
        }
      }
      append_code_point(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
    }
    bytes = std::move(out);
    return "UTF-16";
  }
  if (is_utf8(bytes)) return "";
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (size_t i = 0; i < bytes.size(); ++i) append_code_point(out, byte(i) >= 0x80 && byte(i) < 0xA0 ? kWindows1252[byte(i) - 0x80] : byte(i));
  bytes = std::move(out);
  return "Windows-1252";
}

}  // namespace ingot
