#include <algorithm>
#include <array>

#include "text/token_model.h"
#include "text/utf8.h"

namespace ingot {
namespace {

class ScoredBpe final : public TokenModel {
 public:
  ScoredBpe(const PieceTable& vocab, std::vector<float> scores, std::vector<PieceType> types, int32_t unknown, bool byte_fallback)
      : vocab_(vocab), scores_(std::move(scores)), types_(std::move(types)), unknown_(unknown) {
    for (int b = 0; b < 256; ++b) fallback_[static_cast<size_t>(b)] = byte_fallback ? byte_token(vocab, static_cast<unsigned char>(b)) : -1;
  }

  void encode(std::string_view piece, std::vector<int32_t>& out) const override {
    struct Node {
      uint32_t begin, size;  // size 0: gone
      int32_t previous, next;
    };
    struct Candidate {
      float score;
      int32_t left;
      uint32_t size;  // of the whole; another one means that the neighbours have changed
      bool operator<(const Candidate& o) const { return score != o.score ? score < o.score : left > o.left; }
    };
    thread_local std::vector<Node> nodes;
    thread_local std::vector<Candidate> heap;
    nodes.clear();
    heap.clear();
    for (size_t i = 0; i < piece.size();) {
      const size_t n = utf8_length(static_cast<unsigned char>(piece[i]));
      const auto at = static_cast<int32_t>(nodes.size());
      nodes.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(n), at - 1, at + 1});
      i += n;
    }
    if (nodes.empty()) return;
    nodes.back().next = -1;
    auto node = [&](int32_t i) -> Node& { return nodes[static_cast<size_t>(i)]; };
    auto candidate = [&](int32_t left, Candidate& c) {
      if (left < 0 || node(left).next < 0) return false;
      const uint32_t size = node(left).size + node(node(left).next).size;
      const int32_t id = mergeable(piece.substr(node(left).begin, size));
      if (id < 0) return false;
      c = {scores_[static_cast<size_t>(id)], left, size};
      return true;
    };
    Candidate c;
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(nodes.size()); ++i)
      if (candidate(i, c)) heap.push_back(c);
    std::make_heap(heap.begin(), heap.end());
    auto offer = [&](int32_t left) {
      if (!candidate(left, c)) return;
      heap.push_back(c);
      std::push_heap(heap.begin(), heap.end());
    };
    while (!heap.empty()) {
      const Candidate best = heap.front();
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
      Node& l = node(best.left);
      if (l.size == 0 || l.next < 0 || l.size + node(l.next).size != best.size) continue;
      Node& r = node(l.next);
      l.size += r.size;
      r.size = 0;
      l.next = r.next;
      if (l.next >= 0) node(l.next).previous = best.left;
      offer(l.previous);
      offer(best.left);
    }
    bool after_unknown = false;
    for (int32_t i = 0; i >= 0; i = node(i).next) emit(piece.substr(node(i).begin, node(i).size), out, after_unknown);
  }

 private:
  PieceType type(int32_t id) const { return types_[static_cast<size_t>(id)]; }

  // Control, unknown and byte tokens are never made from text.
  int32_t mergeable(std::string_view text) const {
    const int32_t id = vocab_.find(text);
    if (id < 0 || type(id) == PieceType::kControl || type(id) == PieceType::kUnknown || type(id) == PieceType::kByte) return -1;
    return id;
  }

  void emit(std::string_view text, std::vector<int32_t>& out, bool& after_unknown) const {
    int32_t id = vocab_.find(text);
    if (id >= 0 && type(id) == PieceType::kUnused && split_unused(text, out, after_unknown)) return;
    if (id >= 0 && type(id) != PieceType::kUnknown) {
      out.push_back(id);
      after_unknown = false;
      return;
    }
    if (std::all_of(text.begin(), text.end(), [&](char c) { return fallback_[static_cast<unsigned char>(c)] >= 0; })) {
      for (unsigned char c : text) out.push_back(fallback_[c]);
      after_unknown = false;
      return;
    }
    if (!after_unknown && unknown_ >= 0) out.push_back(unknown_);
    after_unknown = true;
  }

  // An unused token helps to build longer ones but is not given out itself: back to the two best parts.
  bool split_unused(std::string_view text, std::vector<int32_t>& out, bool& after_unknown) const {
    size_t best = 0;
    float best_score = 0;
    for (size_t cut = utf8_length(static_cast<unsigned char>(text[0])); cut < text.size(); cut += utf8_length(static_cast<unsigned char>(text[cut]))) {
      const int32_t a = vocab_.find(text.substr(0, cut)), b = vocab_.find(text.substr(cut));
      if (a < 0 || b < 0) continue;
      const float score = std::min(scores_[static_cast<size_t>(a)], scores_[static_cast<size_t>(b)]);
      if (best == 0 || score > best_score) best = cut, best_score = score;
    }
    if (best == 0) return false;
    emit(text.substr(0, best), out, after_unknown);
    emit(text.substr(best), out, after_unknown);
    return true;
  }

  const PieceTable& vocab_;
  std::vector<float> scores_;
  std::vector<PieceType> types_;
  int32_t unknown_;
  std::array<int32_t, 256> fallback_;
};

}  // namespace

std::unique_ptr<const TokenModel> make_scored_bpe(const PieceTable& vocab, std::vector<float> scores, std::vector<PieceType> types,
                                                  int32_t unknown, bool byte_fallback) {
  return std::make_unique<ScoredBpe>(vocab, std::move(scores), std::move(types), unknown, byte_fallback);
}

}  // namespace ingot
