#include "text/byte_trie.h"

#include <algorithm>

namespace ingot {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  entries.erase(std::unique(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first == b.first; }), entries.end());
  std::fill(std::begin(first_), std::end(first_), kNowhere);
  if (entries.empty()) return;
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, entries.size(), 0}};  // of the node with the same number
  nodes_.emplace_back();
  labels_.push_back(0);
  for (size_t node = 0; node < nodes_.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    if (entries[begin].first.size() == depth) nodes_[node].value = entries[begin++].second;
    nodes_[node].children = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t stop = begin;
      while (stop < end && entries[stop].first[depth] == label) ++stop;
      if (node == 0) first_[static_cast<unsigned char>(label)] = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      labels_.push_back(static_cast<unsigned char>(label));
      ranges.push_back({begin, stop, depth + 1});
      ++nodes_[node].count;
      begin = stop;
    }
  }
}

std::pair<size_t, int32_t> ByteTrie::longest(std::string_view text) const {
  std::pair<size_t, int32_t> best{0, -1};
  if (empty()) return best;
  int32_t node = kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = step(node, static_cast<unsigned char>(text[i]));
    if (node == kNowhere) break;
    if (value(node) >= 0) best = {i + 1, value(node)};
  }
  return best;
}

}  // namespace ingot
