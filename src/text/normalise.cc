#include "text/normalise.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace ingot {

std::string normalise_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE | UTF8PROC_STRIPMARK);
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      out += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte < 0x20 || byte == 0x7f ? ' ' : static_cast<char>(byte);
      ++at;
      continue;
    }
    utf8proc_int32_t point = 0;
    const auto used = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(std::min<size_t>(4, text.size() - at)), &point);
    if (used <= 0) {
      out += ' ';
      ++at;
      continue;
    }
    at += static_cast<size_t>(used);
    std::array<utf8proc_int32_t, 32> points;
    int last_boundary = 0;
    const auto count = utf8proc_decompose_char(point, points.data(), points.size(), kOptions, &last_boundary);
    for (utf8proc_ssize_t i = 0; i < std::min<utf8proc_ssize_t>(count, points.size()); ++i) {
      const auto category = utf8proc_category(points[i]);
      if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP) {
        out += ' ';
        continue;
      }
      if (category == UTF8PROC_CATEGORY_CF) continue;
      utf8proc_uint8_t encoded[4];
      const auto size = utf8proc_encode_char(points[i], encoded);
      out.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(size));
    }
  }
  return out;
}

}  // namespace ingot
