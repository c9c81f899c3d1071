#include "text/grammar/byte_trie.h"

#include <algorithm>

namespace ingot::grammar {

ByteTrie ByteTrie::of(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::erase_if(entries, [](const auto& e) { return e.first.empty() || e.first.size() > 60000; });
  std::sort(entries.begin(), entries.end());
  ByteTrie trie;
  std::vector<int32_t> path;  // nodes from the root to the last string's end
  std::string_view before;
  auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) trie.nodes[static_cast<size_t>(path.back())].after = static_cast<int32_t>(trie.nodes.size());
  };
  for (const auto& [bytes, number] : entries) {
    size_t same = 0;
    while (same < before.size() && same < bytes.size() && before[same] == bytes[same]) ++same;
    close(same);
    auto at = static_cast<int32_t>(trie.numbers.size());
    for (size_t i = same; i < bytes.size(); ++i) {
      path.push_back(static_cast<int32_t>(trie.nodes.size()));
      trie.nodes.push_back({static_cast<uint8_t>(bytes[i]), static_cast<uint16_t>(i + 1), at, at, 0});
    }
    trie.numbers.push_back(number);  // strings that end at the same node follow each other
    trie.nodes[static_cast<size_t>(path.back())].numbers_end = at + 1;
    trie.longest = std::max(trie.longest, static_cast<int>(bytes.size()));
    before = bytes;
  }
  close(0);
  return trie;
}

}  // namespace ingot::grammar
