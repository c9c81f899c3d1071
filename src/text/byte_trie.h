// A set of byte strings, walked byte by byte.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ingot {

class ByteTrie {
 public:
  static constexpr int32_t kRoot = 0, kNowhere = -1;

  ByteTrie() = default;
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries);  // value >= 0; of equal strings the first stays

  bool empty() const { return nodes_.empty(); }
  int32_t step(int32_t node, unsigned char byte) const {
    if (node == kRoot) return first_[byte];
    const Node& n = nodes_[static_cast<size_t>(node)];
    const unsigned char* labels = labels_.data() + n.children;
    for (uint32_t i = 0; i < n.count; ++i)
      if (labels[i] == byte) return static_cast<int32_t>(n.children + i);
    return kNowhere;
  }
  int32_t value(int32_t node) const { return nodes_[static_cast<size_t>(node)].value; }  // -1: no string ends here
  bool starts(unsigned char byte) const { return !nodes_.empty() && first_[byte] >= 0; }

  // The longest string at the front of `text`: (bytes, value), or (0, -1).
  std::pair<size_t, int32_t> longest(std::string_view text) const;

 private:
  struct Node {
    uint32_t children = 0;  // the first one's number; the others follow
    uint32_t count = 0;
    int32_t value = -1;
  };
  std::vector<Node> nodes_;
  std::vector<unsigned char> labels_;  // of the step that leads to a node
  int32_t first_[256];
};

}  // namespace ingot
