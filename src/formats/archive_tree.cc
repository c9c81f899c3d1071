#include "formats/archive_tree.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/threads.h"

namespace ingot {

TreeShape::TreeShape(uint64_t pages) {
  for (uint64_t count = pages;; count = (count + digests_per_block - 1) / digests_per_block) {
    digests.push_back(count);
    offset.push_back(size);
    size += count * sizeof(Digest);
    if (count <= digests_per_block) break;
  }
}

std::string build_tree(std::span<const Digest> pages, Digest& root) {
  TreeShape shape(pages.size());
  std::string tree(reinterpret_cast<const char*>(pages.data()), pages.size_bytes());
  tree.reserve(shape.size);
  for (size_t level = 0; level < shape.digests.size(); ++level) {
    std::string level_bytes = tree.substr(shape.offset[level]);
    for (size_t at = 0; at < level_bytes.size(); at += page_size) {
      root = sha256(std::string_view(level_bytes).substr(at, page_size));
      if (level + 1 < shape.digests.size()) tree.append(reinterpret_cast<const char*>(root.data()), root.size());
    }
  }
  return tree;
}

TreeChecker::TreeChecker(std::span<const std::byte> covered, std::span<const std::byte> tree, const Digest& root, std::string where)
    : covered_(covered), tree_(tree), pages_(covered.size() / page_size), shape_(pages_), root_(root) {
  page_known_ = std::make_unique<std::atomic<uint8_t>[]>(pages_);
  for (uint64_t digests : shape_.digests) {
    block_known_.push_back(std::make_unique<std::atomic<uint8_t>[]>((digests + digests_per_block - 1) / digests_per_block));
  }
  if (!block_good(shape_.digests.size() - 1, 0)) {
    throw Error(ErrorKind::altered, "the hash tree does not match the root in the manifest", std::move(where),
                "get the file again from where it was packed");
  }
}

std::span<const std::byte> TreeChecker::block(size_t level, uint64_t index) const {
  uint64_t begin = index * page_size, all = shape_.digests[level] * sizeof(Digest);
  return tree_.subspan(shape_.offset[level] + begin, std::min(page_size, all - begin));
}

bool TreeChecker::block_good(size_t level, uint64_t index) const {
  auto& known = block_known_[level][index];
  if (known.load(std::memory_order_acquire)) return true;
  Digest digest = sha256(block(level, index));
  bool top = level + 1 == shape_.digests.size();
  if (top) {
    if (digest != root_) return false;
  } else {
    if (!block_good(level + 1, index / digests_per_block)) return false;
    auto parent = block(level + 1, index / digests_per_block);
    if (std::memcmp(parent.data() + index % digests_per_block * sizeof digest, digest.data(), sizeof digest) != 0) return false;
  }
  known.store(1, std::memory_order_release);
  return true;
}

bool TreeChecker::page_good(uint64_t page) const {
  if (page_known_[page].load(std::memory_order_acquire)) return true;
  if (!block_good(0, page / digests_per_block)) return false;
  Digest digest = sha256(covered_.subspan(page * page_size, page_size));
  if (std::memcmp(tree_.data() + page * sizeof digest, digest.data(), sizeof digest) != 0) return false;
  page_known_[page].store(1, std::memory_order_release);
  return true;
}

uint64_t TreeChecker::first_bad(uint64_t begin, uint64_t end) const {
  constexpr uint64_t worth_a_team = 64;  // 4 MiB: a few milliseconds of hashing
  std::atomic<uint64_t> bad{end};
  auto check = [&](uint64_t from, uint64_t to) {
    for (uint64_t page = from; page < to && page < bad.load(std::memory_order_relaxed); ++page) {
      if (page_good(page)) continue;
      uint64_t seen = bad.load();
      while (page < seen && !bad.compare_exchange_weak(seen, page)) {
      }
    }
  };
  if (end - begin < worth_a_team) {
    check(begin, end);
  } else {
    default_team().parallel_for(end - begin, 16, [&](size_t from, size_t to) { check(begin + from, begin + to); });
  }
  return bad;
}

}  // namespace ingot
