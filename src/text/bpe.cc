#include <algorithm>
#include <array>
#include <bit>

#include "text/token_model.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr int32_t kNoMerge = INT32_MAX;
constexpr size_t kShort = 24;  // below, scanning all pairs at each merge costs less than a heap

// (left, right) -> (rank, whole); open addressing, at most half full.
class MergeTable {
 public:
  explicit MergeTable(const std::vector<Merge>& merges) : slots_(std::bit_ceil(2 * merges.size() + 2)) {
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const Merge& m = merges[rank];
      Slot* slot = find_slot(m.left, m.right);
      *slot = {m.left, m.right, static_cast<int32_t>(rank), m.whole};  // of equal pairs the last counts, as in a map filled in order
    }
  }
  struct Hit {
    int32_t rank = kNoMerge, whole = -1;
  };
  Hit find(int32_t left, int32_t right) const {
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash(left, right) & mask;; at = (at + 1) & mask) {
      const Slot& s = slots_[at];
      if (s.left == left && s.right == right) return {s.rank, s.whole};
      if (s.left < 0) return {};
    }
  }

 private:
  struct Slot {
    int32_t left = -1, right = -1, rank = 0, whole = 0;
  };
  static size_t hash(int32_t left, int32_t right) {
    uint64_t key = uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
    key *= 0x9e3779b97f4a7c15;
    return key ^ key >> 32;
  }
  Slot* find_slot(int32_t left, int32_t right) {
    const size_t mask = slots_.size() - 1;
    size_t at = hash(left, right) & mask;
    while (slots_[at].left >= 0 && (slots_[at].left != left || slots_[at].right != right)) at = (at + 1) & mask;
    return &slots_[at];
  }
  std::vector<Slot> slots_;
};

class Bpe final : public TokenModel {
 public:
  Bpe(const PieceTable& vocab, const std::vector<Merge>& merges, BpeOptions options) : vocab_(vocab), table_(merges), options_(options) {
    for (int b = 0; b < 256; ++b) {
      const char byte = static_cast<char>(b);
      const auto i = static_cast<size_t>(b);
      fallback_[i] = options.byte_fallback ? byte_token(vocab, static_cast<unsigned char>(b)) : -1;
      one_[i] = options.bytes || b < 128 ? vocab.find({&byte, 1}) : -1;
    }
  }

  void encode(std::string_view piece, std::vector<int32_t>& out) const override {
    if (options_.whole_first)
      if (int32_t id = vocab_.find(piece); id >= 0) return out.push_back(id);
    thread_local std::vector<int32_t> symbols;
    symbols.clear();
    spell(piece, symbols);
    if (symbols.size() < 2) out.insert(out.end(), symbols.begin(), symbols.end());
    else if (symbols.size() <= kShort) merge_short(symbols, out);
    else merge_long(symbols, out);
  }

 private:
  void spell(std::string_view piece, std::vector<int32_t>& symbols) const {
    if (options_.bytes && options_.unknown < 0) {
      for (unsigned char c : piece)
        if (one_[c] >= 0) symbols.push_back(one_[c]);
      return;
    }
    int32_t held = -1;  // an unknown token that may still grow
    for (size_t i = 0; i < piece.size();) {
      const auto lead = static_cast<unsigned char>(piece[i]);
      const size_t n = options_.bytes ? 1 : utf8_length(lead);
      const int32_t id = n == 1 ? one_[lead] : vocab_.find(piece.substr(i, n));
      if (id >= 0) {
        if (held >= 0) symbols.push_back(held);
        held = -1;
        symbols.push_back(id);
      } else if (!fall_back(piece.substr(i, n), symbols) && options_.unknown >= 0) {
        if (held >= 0 && !options_.fuse_unknown) symbols.push_back(held);
        held = options_.unknown;
      }
      i += n;
    }
    if (held >= 0) symbols.push_back(held);
  }

  bool fall_back(std::string_view character, std::vector<int32_t>& symbols) const {
    for (unsigned char c : character)
      if (fallback_[c] < 0) return false;
    for (unsigned char c : character) symbols.push_back(fallback_[c]);
    return true;
  }

  // The pair of lowest rank, leftmost first, by scanning.
  void merge_short(std::vector<int32_t>& ids, std::vector<int32_t>& out) const {
    MergeTable::Hit pairs[kShort];
    size_t n = ids.size();
    for (size_t i = 0; i + 1 < n; ++i) pairs[i] = table_.find(ids[i], ids[i + 1]);
    for (;;) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i)
        if (pairs[i].rank < pairs[best].rank) best = i;
      if (n < 2 || pairs[best].rank == kNoMerge) break;
      ids[best] = pairs[best].whole;
      --n;
      for (size_t i = best + 1; i < n; ++i) ids[i] = ids[i + 1];
      for (size_t i = best + 1; i + 1 < n; ++i) pairs[i] = pairs[i + 1];
      if (best > 0) pairs[best - 1] = table_.find(ids[best - 1], ids[best]);
      if (best + 1 < n) pairs[best] = table_.find(ids[best], ids[best + 1]);
    }
    out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n));
  }

  // The same with a heap over a linked list: n log n for a piece of any length.
  void merge_long(const std::vector<int32_t>& ids, std::vector<int32_t>& out) const {
    struct Node {
      int32_t id, previous, next;  // id -1: gone
    };
    struct Candidate {
      int32_t rank, left, whole;
      bool operator<(const Candidate& o) const { return rank != o.rank ? rank > o.rank : left > o.left; }
    };
    thread_local std::vector<Node> nodes;
    thread_local std::vector<Candidate> heap;
    nodes.clear();
    heap.clear();
    for (size_t i = 0; i < ids.size(); ++i) nodes.push_back({ids[i], static_cast<int32_t>(i) - 1, static_cast<int32_t>(i) + 1});
    nodes.back().next = -1;
    auto node = [&](int32_t i) -> Node& { return nodes[static_cast<size_t>(i)]; };
    auto hit = [&](int32_t left) {
      if (left < 0 || node(left).next < 0) return MergeTable::Hit{};
      return table_.find(node(left).id, node(node(left).next).id);
    };
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(nodes.size()); ++i)
      if (auto h = hit(i); h.rank != kNoMerge) heap.push_back({h.rank, i, h.whole});
    std::make_heap(heap.begin(), heap.end());
    auto offer = [&](int32_t left) {
      if (auto h = hit(left); h.rank != kNoMerge) {
        heap.push_back({h.rank, left, h.whole});
        std::push_heap(heap.begin(), heap.end());
      }
    };
    while (!heap.empty()) {
      const Candidate best = heap.front();
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
      Node& l = node(best.left);
      // A candidate whose tokens have changed counts if the new pair makes the same token: so does the reference.
      if (l.id < 0 || hit(best.left).whole != best.whole) continue;
      Node& r = node(l.next);
      l.id = best.whole;
      r.id = -1;
      l.next = r.next;
      if (l.next >= 0) node(l.next).previous = best.left;
      offer(l.previous);
      offer(best.left);
    }
    for (int32_t i = 0; i >= 0; i = node(i).next) out.push_back(node(i).id);
  }

  const PieceTable& vocab_;
  MergeTable table_;
  BpeOptions options_;
  std::array<int32_t, 256> one_, fallback_;  // the tokens of single bytes
};

}  // namespace

std::unique_ptr<const TokenModel> make_bpe(const PieceTable& vocab, const std::vector<Merge>& merges, BpeOptions options) {
  return std::make_unique<Bpe>(vocab, merges, options);
}

int32_t byte_token(const PieceTable& vocab, unsigned char byte) {
  constexpr const char* kHex = "0123456789ABCDEF";
  const char name[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
  return vocab.find({name, sizeof name});
}

}  // namespace ingot
