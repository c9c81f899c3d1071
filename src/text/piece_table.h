// Byte strings by number and numbers by byte string, in one block of memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// Mixes every byte; the same on every machine.
uint64_t hash_bytes(std::string_view bytes);

class PieceTable {
 public:
  void reserve(size_t pieces, size_t bytes);
  void add(std::string_view piece);  // takes the next number
  void index();                      // REQUIRES: called after the last add(), before find(); of equal pieces the first is found
  void index(const std::vector<bool>& wanted);  // only those

  int32_t size() const { return static_cast<int32_t>(ends_.size()); }
  std::string_view operator[](int32_t id) const {  // REQUIRES: 0 <= id < size()
    const auto i = static_cast<size_t>(id);
    const uint64_t begin = i ? ends_[i - 1] : 0;
    return {bytes_.data() + begin, static_cast<size_t>(ends_[i] - begin)};
  }
  int32_t find(std::string_view piece) const;  // -1 when absent
  size_t longest() const { return longest_; }

 private:
  struct Slot {
    uint32_t tag;
    int32_t id;  // -1: free
  };
  std::string bytes_;
  std::vector<uint64_t> ends_;
  std::vector<Slot> slots_;  // open addressing, at most half full
  size_t longest_ = 0;
};

}  // namespace ingot
