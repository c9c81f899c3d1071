// UTF-8: lengths, characters, repair.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ingot {

// Of the character with this first byte. REQUIRES: valid UTF-8.
inline size_t utf8_length(unsigned char lead) { return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4; }

struct Utf8Character {
  int32_t code;
  uint8_t bytes;
};

// REQUIRES: valid UTF-8 and i < s.size(), at the start of a character.
inline Utf8Character utf8_at(std::string_view s, size_t i) {
  auto b = [&](size_t k) { return static_cast<int32_t>(static_cast<unsigned char>(s[i + k])); };
  const int32_t lead = b(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xe0) return {(lead & 31) << 6 | (b(1) & 63), 2};
  if (lead < 0xf0) return {(lead & 15) << 12 | (b(1) & 63) << 6 | (b(2) & 63), 3};
  return {(lead & 7) << 18 | (b(1) & 63) << 12 | (b(2) & 63) << 6 | (b(3) & 63), 4};
}

void append_utf8(std::string& out, int32_t code);

// As much of the beginning as whole characters fit into so many bytes.
inline std::string_view utf8_prefix(std::string_view s, size_t bytes) {
  if (s.size() <= bytes) return s;
  while (bytes > 0 && (static_cast<unsigned char>(s[bytes]) & 0xC0) == 0x80) --bytes;
  return s.substr(0, bytes);
}

bool valid_utf8(std::string_view bytes);

// Every invalid sequence becomes one U+FFFD, as Python's and HF's decoders do.
std::string repair_utf8(std::string_view bytes);

// Turns token pieces into valid UTF-8: bytes of an unfinished character wait for the next piece.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);
  std::string finish();  // what is left, repaired

 private:
  std::string held_;
};

}  // namespace ingot
