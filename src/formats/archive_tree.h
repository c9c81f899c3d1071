// The hash tree of an .ingot: SHA-256 over 64 KiB pages, then over 64 KiB blocks of digests, up to one block.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/sha256.h"

namespace ingot {

inline constexpr uint64_t page_size = uint64_t{1} << 16;                     // bytes; also the alignment of members
inline constexpr uint64_t digests_per_block = page_size / sizeof(Digest);    // 2048: a block stands for 128 MiB

// Where each level lies in tree.bin: level 0 (one digest a page) first, the single top block last.
struct TreeShape {
  explicit TreeShape(uint64_t pages);  // pages >= 1
  std::vector<uint64_t> digests;       // per level
  std::vector<uint64_t> offset;        // per level, bytes into tree.bin
  uint64_t size = 0;                   // of tree.bin, bytes
};

// tree.bin for these page digests; `root` receives the digest of the top block.
std::string build_tree(std::span<const Digest> pages, Digest& root);

// Checks pages of `covered` (whole pages) against `tree` on first use, the tree's own blocks too. Thread-safe.
class TreeChecker {
 public:
  // Throws Error (altered) unless the top block has this root. tree.size() must be TreeShape's; both must outlive this.
  TreeChecker(std::span<const std::byte> covered, std::span<const std::byte> tree, const Digest& root, std::string where);

  // First page in [begin, end) that is not as packed, or end. Uses the default team when the range is large.
  uint64_t first_bad(uint64_t begin, uint64_t end) const;
  uint64_t pages() const { return pages_; }

 private:
  bool page_good(uint64_t page) const;
  bool block_good(size_t level, uint64_t block) const;  // a block of digests of `level`, checked up to the root
  std::span<const std::byte> block(size_t level, uint64_t index) const;

  std::span<const std::byte> covered_, tree_;
  uint64_t pages_;
  TreeShape shape_;
  Digest root_;
  std::unique_ptr<std::atomic<uint8_t>[]> page_known_;                 // 1: checked and good
  std::vector<std::unique_ptr<std::atomic<uint8_t>[]>> block_known_;   // per level
};

}  // namespace ingot
