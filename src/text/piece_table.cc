#include "text/piece_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ingot {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t hash_bytes(std::string_view s) {
  constexpr uint64_t k0 = 0x9e3779b97f4a7c15, k1 = 0xd6e8feb86659fd93;
  uint64_t h = mix(s.size() ^ k0, k1);
  const char* p = s.data();
  size_t n = s.size();
  uint64_t a = 0, b = 0;
  for (; n > 16; p += 16, n -= 16) {
    std::memcpy(&a, p, 8);
    std::memcpy(&b, p + 8, 8);
    h = mix(a ^ k0 ^ h, b ^ k1);
  }
  a = b = 0;
  if (n >= 8) {
    std::memcpy(&a, p, 8);
    std::memcpy(&b, p + n - 8, 8);
  } else if (n >= 4) {
    uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + n - 4, 4);
    a = low, b = high;
  } else if (n > 0) {
    a = static_cast<unsigned char>(p[0]) | static_cast<unsigned char>(p[n / 2]) << 8 | static_cast<unsigned char>(p[n - 1]) << 16;
  }
  return mix(a ^ k1 ^ h, b ^ k0);
}

void PieceTable::reserve(size_t pieces, size_t bytes) {
  ends_.reserve(pieces);
  bytes_.reserve(bytes);
}

void PieceTable::add(std::string_view piece) {
  bytes_ += piece;
  ends_.push_back(bytes_.size());
  longest_ = std::max(longest_, piece.size());
}

void PieceTable::index() { index(std::vector<bool>(ends_.size(), true)); }

void PieceTable::index(const std::vector<bool>& wanted) {
  slots_.assign(std::bit_ceil(2 * ends_.size() + 2), {0, -1});
  const size_t mask = slots_.size() - 1;
  for (int32_t id = 0; id < size(); ++id) {
    if (!wanted[static_cast<size_t>(id)]) continue;
    const uint64_t h = hash_bytes((*this)[id]);
    const auto tag = static_cast<uint32_t>(h >> 32);
    size_t at = h & mask;
    while (slots_[at].id >= 0 && (slots_[at].tag != tag || (*this)[slots_[at].id] != (*this)[id])) at = (at + 1) & mask;
    if (slots_[at].id < 0) slots_[at] = {tag, id};
  }
}

int32_t PieceTable::find(std::string_view piece) const {
  if (slots_.empty() || piece.size() > longest_) return -1;
  const size_t mask = slots_.size() - 1;
  const uint64_t h = hash_bytes(piece);
  const auto tag = static_cast<uint32_t>(h >> 32);
  for (size_t at = h & mask; slots_[at].id >= 0; at = (at + 1) & mask)
    if (slots_[at].tag == tag && (*this)[slots_[at].id] == piece) return slots_[at].id;
  return -1;
}

}  // namespace ingot
