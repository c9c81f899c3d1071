// Byte strings with numbers, merged where they begin alike, in the order of a depth-first walk.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ingot::grammar {

struct ByteTrie {
  struct Node {
    uint8_t byte;
    uint16_t depth;            // bytes from the root to here, this one included
    int32_t numbers, numbers_end;  // of the strings that end here, in `numbers`
    int32_t after;             // the next node that is not below this one
  };
  std::vector<Node> nodes;
  std::vector<int32_t> numbers;
  int longest = 0;

  // Empty strings are left out, as are those above 60,000 bytes.
  static ByteTrie of(std::vector<std::pair<std::string_view, int32_t>> entries);
};

}  // namespace ingot::grammar
