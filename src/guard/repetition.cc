#include "guard/repetition.h"

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace ingot {

double repetition_of(std::string_view text) {
  constexpr size_t kFewest = 40, kMost = 1000, kRun = 4, kBytes = 16384;
  if (text.size() > kBytes) text.remove_prefix(text.size() - kBytes);
  std::vector<uint64_t> words;
  uint64_t hash = 0;
  bool inside = false;
  for (unsigned char c : text) {
    const bool part = c > 0x7f || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (part) {
      if (!inside) hash = 14695981039346656037u;
      hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 1099511628211u;
    } else if (inside) {
      words.push_back(hash);
    }
    inside = part;
  }
  if (inside) words.push_back(hash);
  if (words.size() < kFewest) return 0;
  if (words.size() > kMost) words.erase(words.begin(), words.end() - kMost);
  std::unordered_map<uint64_t, uint32_t> count;
  const size_t runs = words.size() - kRun + 1;
  std::vector<uint64_t> keys(runs);
  for (size_t i = 0; i < runs; ++i) {
    uint64_t key = 0;
    for (size_t k = 0; k < kRun; ++k) key = (key ^ words[i + k]) * 0x9e3779b97f4a7c15u + (key >> 29);
    ++count[keys[i] = key];
  }
  size_t again = 0;
  for (uint64_t key : keys) again += count[key] > 1;
  return static_cast<double>(again) / static_cast<double>(runs);
}

}  // namespace ingot
