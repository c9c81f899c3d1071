// A thread's memory of the ids of pieces: text repeats itself, and merging is the slow part.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace ingot {

// Direct-mapped: a new piece takes the place of the old one with the same slot. Short pieces with few ids only.
class PieceCache {
 public:
  static constexpr size_t kMostBytes = 16, kMostIds = 5;

  // Forgets all when another tokenizer comes.
  void belong_to(uint64_t serial) {
    if (serial == owner_) return;
    slots_.assign(kSlots, Slot{});
    owner_ = serial;
  }

  // Appends the ids of `piece`; `make` appends them when they are not known.
  template <class Make>
  void append(std::string_view piece, std::vector<int32_t>& out, Make make) {
    if (piece.size() > kMostBytes) return make();
    uint64_t a = 0, b = 0;
    read(piece, a, b);
    const uint64_t mixed = (a ^ (b + 0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93 ^ piece.size()) * 0x9e3779b97f4a7c15;
    Slot& slot = slots_[mixed >> (64 - kBits)];
    if (slot.a == a && slot.b == b && slot.bytes == piece.size()) {
      out.insert(out.end(), slot.ids, slot.ids + slot.count);
      return;
    }
    const size_t start = out.size();
    make();
    const size_t count = out.size() - start;
    if (count > kMostIds) return;
    slot = {a, b, static_cast<uint8_t>(piece.size()), static_cast<uint8_t>(count), {}};
    std::copy_n(out.data() + start, count, slot.ids);
  }

 private:
  static constexpr int kBits = 15;  // 1.3 MB: fits the second-level cache with the words of one language
  static constexpr size_t kSlots = size_t{1} << kBits;
  struct Slot {
    uint64_t a = 0, b = 0;
    uint8_t bytes = 0, count = 0;
    int32_t ids[kMostIds] = {};
  };

  // Two words that tell apart all pieces of one length.
  static void read(std::string_view s, uint64_t& a, uint64_t& b) {
    const char* p = s.data();
    const size_t n = s.size();
    if (n >= 8) {
      std::memcpy(&a, p, 8);
      std::memcpy(&b, p + n - 8, 8);
    } else if (n >= 4) {
      std::memcpy(&a, p, 4);
      std::memcpy(&b, p + n - 4, 4);
    } else {
      std::memcpy(&a, p, n);
    }
  }

  std::vector<Slot> slots_;
  uint64_t owner_ = 0;  // 0: nobody's
};

}  // namespace ingot
