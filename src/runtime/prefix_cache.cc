#include "runtime/prefix_cache.h"

#include <algorithm>

namespace ingot {
namespace {

uint64_t hash_page(int64_t parent, std::span<const int32_t> tokens) {
  uint64_t h = static_cast<uint64_t>(parent) ^ 0x9e3779b97f4a7c15u;
  for (int32_t t : tokens) {
    h = (h ^ static_cast<uint32_t>(t)) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

}  // namespace

PrefixCache::Hit PrefixCache::find(int64_t parent, std::span<const int32_t> tokens) const {
  auto [from, to] = by_hash_.equal_range(hash_page(parent, tokens));
  for (auto it = from; it != to; ++it) {
    const Entry& e = *it->second;
    if (e.parent == parent && std::equal(tokens.begin(), tokens.end(), e.tokens.begin(), e.tokens.end())) return {e.node, e.page};
  }
  return {};
}

int64_t PrefixCache::add(int64_t parent, std::span<const int32_t> tokens, int32_t page) {
  if (Hit hit = find(parent, tokens); hit.page >= 0) return hit.node;
  cache_.share(page);
  uint64_t hash = hash_page(parent, tokens);
  entries_.push_front({next_++, parent, hash, page, {tokens.begin(), tokens.end()}});
  by_node_[entries_.front().node] = entries_.begin();
  by_hash_.emplace(hash, entries_.begin());
  return entries_.front().node;
}

void PrefixCache::touch(int64_t node) {
  for (auto it = by_node_.find(node); it != by_node_.end(); it = by_node_.find(node)) {
    entries_.splice(entries_.begin(), entries_, it->second);
    node = it->second->parent;
  }
}

bool PrefixCache::evict() {
  for (auto it = entries_.rbegin(); it != entries_.rend(); ++it) {
    if (cache_.owners(it->page) > 1) continue;  // in use: dropping it would free nothing
    cache_.drop(it->page);
    auto [from, to] = by_hash_.equal_range(it->hash);
    for (auto at = from; at != to; ++at)
      if (at->second->node == it->node) {
        by_hash_.erase(at);
        break;
      }
    by_node_.erase(it->node);
    entries_.erase(std::next(it).base());
    return true;
  }
  return false;
}

}  // namespace ingot
