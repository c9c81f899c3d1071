#include "text/utf8.h"

#include <cstring>

namespace ingot {
namespace {

// Length of the well-formed sequence at the front, or minus the length of the ill-formed part (Unicode's maximal subpart);
// 0 when the bytes end inside a sequence that could still become whole.
int sequence(std::string_view s) {
  auto b = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  unsigned char first = b(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return -1;
  int need = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (int i = 1; i < need; ++i) {
    if (static_cast<size_t>(i) >= s.size()) return 0;
    unsigned char low = 0x80, high = 0xbf, c = b(static_cast<size_t>(i));
    if (i == 1) {
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    }
    if (c < low || c > high) return -i;
  }
  return need;
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  held_.append(bytes);
  std::string out;
  size_t i = 0;
  while (i < held_.size()) {
    int n = sequence(std::string_view(held_).substr(i));
    if (n == 0) break;
    if (n > 0) out.append(held_, i, static_cast<size_t>(n));
    else out += "\xef\xbf\xbd";
    i += static_cast<size_t>(n > 0 ? n : -n);
  }
  held_.erase(0, i);
  return out;
}

std::string Utf8Stream::finish() {
  std::string out = held_.empty() ? "" : "\xef\xbf\xbd";
  held_.clear();
  return out;
}

bool valid_utf8(std::string_view s) {
  size_t i = 0;
  while (i < s.size()) {
    uint64_t eight;
    if (i + 8 <= s.size() && (std::memcpy(&eight, s.data() + i, 8), (eight & 0x8080808080808080) == 0)) {
      i += 8;
      continue;
    }
    const int n = sequence(s.substr(i));
    if (n <= 0) return false;
    i += static_cast<size_t>(n);
  }
  return true;
}

void append_utf8(std::string& out, int32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

std::string repair_utf8(std::string_view bytes) {
  Utf8Stream stream;
  std::string out = stream.push(bytes);
  return out + stream.finish();
}

}  // namespace ingot
