#include <algorithm>

#include "text/grammar/automaton.h"

namespace ingot::grammar {
namespace {

int encode(uint32_t c, uint8_t* out) {
  auto low = [c](int shift) { return static_cast<uint8_t>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) return out[0] = static_cast<uint8_t>(c), 1;
  if (c < 0x800) return out[0] = static_cast<uint8_t>(0xc0 | c >> 6), out[1] = low(0), 2;
  if (c < 0x10000) return out[0] = static_cast<uint8_t>(0xe0 | c >> 12), out[1] = low(6), out[2] = low(0), 3;
  return out[0] = static_cast<uint8_t>(0xf0 | c >> 18), out[1] = low(12), out[2] = low(6), out[3] = low(0), 4;
}

}  // namespace

// Cox's way: cut at the lengths of encodings, then where the trailing bytes do not run over their whole range.
void utf8_sequences(CodeRange range, std::vector<std::vector<ByteRange>>& out) {
  if (range.low > range.high) return;
  for (uint32_t last : {0x7fu, 0x7ffu, 0xffffu})
    if (range.low <= last && range.high > last) {
      utf8_sequences({range.low, last}, out);
      return utf8_sequences({last + 1, range.high}, out);
    }
  for (uint32_t bits : {6u, 12u, 18u}) {
    uint32_t mask = (1u << bits) - 1;
    if ((range.low & ~mask) == (range.high & ~mask)) continue;
    if (range.low & mask) {
      utf8_sequences({range.low, range.low | mask}, out);
      return utf8_sequences({(range.low | mask) + 1, range.high}, out);
    }
    if ((range.high & mask) != mask) {
      utf8_sequences({range.low, (range.high & ~mask) - 1}, out);
      return utf8_sequences({range.high & ~mask, range.high}, out);
    }
  }
  uint8_t low[4], high[4];
  int n = encode(range.low, low);
  encode(range.high, high);
  auto& sequence = out.emplace_back();
  for (int i = 0; i < n; ++i) sequence.push_back({low[i], high[i]});
}

}  // namespace ingot::grammar
