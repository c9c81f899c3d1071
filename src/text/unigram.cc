#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "text/byte_trie.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr float kUnknownPenalty = 10;
constexpr float kMostSum = 100000;  // SentencePiece begins anew beyond: a float would lose the differences

// float: as SentencePiece, with pieces of several types; double: as tokenizer.json is read, where all are normal. Equally likely cuts are
// told apart by how the sums are rounded.
template <class Score>
class Unigram final : public TokenModel {
 public:
  Unigram(const PieceTable& vocab, const std::vector<double>& scores, const std::vector<PieceType>& types, int32_t unknown, bool byte_fallback)
      : vocab_(vocab), scores_(scores.begin(), scores.end()), unknown_(unknown) {
    Score least = std::numeric_limits<Score>::max();
    std::vector<std::pair<std::string_view, int32_t>> entries;
    for (int32_t id = 0; id < vocab.size(); ++id) {
      const PieceType type = kOwn ? types[static_cast<size_t>(id)] : PieceType::kNormal;
      Score& score = scores_[static_cast<size_t>(id)];
      if (type == PieceType::kNormal) least = std::min(least, score);
      if (type == PieceType::kUserDefined) score = static_cast<Score>(0.1 * (static_cast<double>(vocab[id].size()) - 1));  // always taken
      if ((type == PieceType::kNormal || type == PieceType::kUserDefined) && !vocab[id].empty()) entries.emplace_back(vocab[id], id);
    }
    unknown_score_ = least - kUnknownPenalty;
    trie_ = ByteTrie(std::move(entries));
    for (int b = 0; b < 256; ++b) fallback_[static_cast<size_t>(b)] = byte_fallback ? byte_token(vocab, static_cast<unsigned char>(b)) : -1;
  }

  void encode(std::string_view piece, std::vector<int32_t>& out) const override {
    thread_local std::vector<Best> best;
    best.assign(piece.size() + 1, Best{});
    size_t reached = 0;
    for (size_t i = 0; i < piece.size();) {
      const size_t n = utf8_length(static_cast<unsigned char>(piece[i]));
      if (kOwn && std::abs(best[i].score) > kMostSum) rebase(best, i, reached);
      const Score here = best[i].score;
      bool single_character = false;
      int32_t node = ByteTrie::kRoot;
      for (size_t end = i; end < piece.size() && !trie_.empty();) {
        node = trie_.step(node, static_cast<unsigned char>(piece[end]));
        if (node == ByteTrie::kNowhere) break;
        ++end;
        const int32_t id = trie_.value(node);
        if (id < 0) continue;
        offer(best[end], here + scores_[static_cast<size_t>(id)], i, id);
        reached = std::max(reached, end);
        single_character = single_character || end - i == n;
      }
      if (!single_character) {
        offer(best[i + n], here + unknown_score_, i, unknown_);
        reached = std::max(reached, i + n);
      }
      i += n;
    }
    thread_local std::vector<std::pair<uint32_t, uint32_t>> cuts;  // (begin, end), last first; a run of unknown ones is one
    cuts.clear();
    bool after_unknown = false;
    for (size_t end = piece.size(); end > 0; end = best[end].begin) {
      const bool is_unknown = best[end].id == unknown_;
      if (is_unknown && after_unknown) cuts.back().first = best[end].begin;
      else cuts.emplace_back(best[end].begin, static_cast<uint32_t>(end));
      after_unknown = is_unknown;
    }
    for (auto cut = cuts.rbegin(); cut != cuts.rend(); ++cut) emit(piece.substr(cut->first, cut->second - cut->first), best[cut->second].id, out);
  }

 private:
  static constexpr bool kOwn = std::is_same_v<Score, float>;
  struct Best {
    Score score = 0;  // of the best way here
    uint32_t begin = 0;
    int32_t id = -2;  // of the last token on it; -2: nothing ends here yet
  };

  static void offer(Best& target, Score score, size_t begin, int32_t id) {
    if (target.id != -2 && !(score > target.score)) return;
    target = {score, static_cast<uint32_t>(begin), id};
  }

  static void rebase(std::vector<Best>& best, size_t from, size_t reached) {
    const Score offset = best[from].score;
    for (size_t i = from; i <= reached; ++i)
      if (best[i].id != -2) best[i].score -= offset;
  }

  void emit(std::string_view text, int32_t id, std::vector<int32_t>& out) const {
    if (id != unknown_) return out.push_back(id);
    if (!kOwn)
      if (int32_t known = vocab_.find(text); known >= 0) return out.push_back(known);
    if (std::all_of(text.begin(), text.end(), [&](char c) { return fallback_[static_cast<unsigned char>(c)] >= 0; })) {
      for (unsigned char c : text) out.push_back(fallback_[c]);
    } else if (unknown_ >= 0) {
      out.push_back(unknown_);
    }
  }

  const PieceTable& vocab_;
  std::vector<Score> scores_;
  ByteTrie trie_;
  int32_t unknown_;
  Score unknown_score_;
  std::array<int32_t, 256> fallback_;
};

}  // namespace

std::unique_ptr<const TokenModel> make_unigram(const PieceTable& vocab, const std::vector<double>& scores, const std::vector<PieceType>& types,
                                               int32_t unknown, bool byte_fallback) {
  if (types.empty()) return std::make_unique<Unigram<double>>(vocab, scores, types, unknown, byte_fallback);
  return std::make_unique<Unigram<float>>(vocab, scores, types, unknown, byte_fallback);
}

}  // namespace ingot
