#include "guard/topic/hashed_features.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace ingot {
namespace {

constexpr uint32_t kHalf = kHashedPlaces / 2;
constexpr uint64_t kPrime = 1099511628211u;

uint64_t hash_of(std::string_view text, uint64_t h = 14695981039346656037u) {  // FNV-1a
  for (unsigned char c : text) h = (h ^ c) * kPrime;
  return h;
}
uint32_t place(uint64_t h) { return static_cast<uint32_t>((h ^ (h >> 29) ^ (h >> 47)) % kHalf); }
bool is_word(unsigned char c) { return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

// Counts by place, remembering which places were touched, so that a short text costs little and a long one no more memory.
class Counts {
 public:
  Counts() : counts_(kHashedPlaces, 0) {}
  void add(uint32_t at) {
    if (counts_[at]++ == 0) touched_.push_back(at);
  }
  HashedRow take() {
    std::sort(touched_.begin(), touched_.end());
    HashedRow row;
    double norm[2] = {0, 0};
    for (uint32_t at : touched_) {
      const float value = 1 + std::log(static_cast<float>(counts_[at]));
      row.ids.push_back(at);
      row.values.push_back(value);
      norm[at >= kHalf] += double(value) * value;
      counts_[at] = 0;
    }
    touched_.clear();
    for (size_t i = 0; i < row.ids.size(); ++i) row.values[i] = static_cast<float>(row.values[i] / std::sqrt(norm[row.ids[i] >= kHalf]));
    return row;
  }

 private:
  std::vector<uint32_t> counts_;
  std::vector<uint32_t> touched_;
};

}  // namespace

HashedRow row_of_places(std::vector<uint32_t> places) {
  HashedRow row;
  double count[2] = {0, 0};
  for (uint32_t at : places) ++count[at >= kHalf];
  for (uint32_t at : places) row.values.push_back(static_cast<float>(1 / std::sqrt(count[at >= kHalf])));
  row.ids = std::move(places);
  return row;
}

HashedRow hashed_features(std::string_view text) {
  thread_local Counts counts;
  uint64_t before = 0;
  bool any = false;
  std::string padded;
  for (size_t at = 0; at < text.size();) {
    if (!is_word(static_cast<unsigned char>(text[at]))) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && is_word(static_cast<unsigned char>(text[end]))) ++end;
    const std::string_view word = text.substr(at, end - at);
    const uint64_t own = hash_of(word);
    counts.add(place(own));
    if (any) counts.add(place(before * 31 + own));
    before = own;
    any = true;
    padded.assign(" ").append(word).append(" ");
    for (size_t size = 3; size <= 5; ++size) {
      for (size_t i = 0; i + size <= padded.size(); ++i) counts.add(kHalf + place(hash_of(std::string_view(padded).substr(i, size), size * 0x9e3779b97f4a7c15u)));
    }
    at = end;
  }
  return counts.take();
}

}  // namespace ingot
