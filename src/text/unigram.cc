#include <algorithm>
#include <array>
#include <limits>

#include "text/byte_trie.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace ingot {
namespace {

constexpr double kUnknownPenalty = 10;

class Unigram final : public TokenModel {
 public:
  Unigram(const PieceTable& vocab, std::vector<double> scores, std::vector<PieceType> types, int32_t unknown, bool byte_fallback, bool single)
      : vocab_(vocab), scores_(std::move(scores)), unknown_(unknown), single_(single) {
    double least = std::numeric_limits<double>::infinity(), most = -least;
    std::vector<std::pair<std::string_view, int32_t>> entries;
    for (int32_t id = 0; id < vocab.size(); ++id) {
      const PieceType type = single ? types[static_cast<size_t>(id)] : PieceType::kNormal;
      if (type == PieceType::kNormal) {
        least = std::min(least, scores_[static_cast<size_t>(id)]);
        most = std::max(most, scores_[static_cast<size_t>(id)]);
      }
      if ((type == PieceType::kNormal || type == PieceType::kUserDefined) && !vocab[id].empty()) entries.emplace_back(vocab[id], id);
    }
    if (single)  // what a user defined is always taken
      for (int32_t id = 0; id < vocab.size(); ++id)
        if (types[static_cast<size_t>(id)] == PieceType::kUserDefined)
          scores_[static_cast<size_t>(id)] = static_cast<double>(static_cast<float>(vocab[id].size()) * static_cast<float>(most)) - 0.1;
    unknown_score_ = single ? static_cast<double>(static_cast<float>(least) - static_cast<float>(kUnknownPenalty)) : least - kUnknownPenalty;
    trie_ = ByteTrie(std::move(entries));
    for (int b = 0; b < 256; ++b) fallback_[static_cast<size_t>(b)] = byte_fallback ? byte_token(vocab, static_cast<unsigned char>(b)) : -1;
  }

  void encode(std::string_view piece, std::vector<int32_t>& out) const override {
    thread_local std::vector<Best> best;
    best.assign(piece.size() + 1, Best{});
    best[0].score = 0;
    for (size_t i = 0; i < piece.size();) {
      const size_t n = utf8_length(static_cast<unsigned char>(piece[i]));
      const double here = best[i].score;
      bool single_character = false;
      int32_t node = ByteTrie::kRoot;
      for (size_t end = i; end < piece.size() && !trie_.empty();) {
        node = trie_.step(node, static_cast<unsigned char>(piece[end]));
        if (node == ByteTrie::kNowhere) break;
        ++end;
        const int32_t id = trie_.value(node);
        if (id < 0) continue;
        offer(best[end], here + scores_[static_cast<size_t>(id)], i, id);
        single_character = single_character || end - i == n;
      }
      if (!single_character) {
        const double score = here + unknown_score_;
        offer(best[i + n], single_ ? static_cast<double>(static_cast<float>(score)) : score, i, unknown_);
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
  struct Best {
    double score = 0;  // of the best way here
    uint32_t begin = 0;
    int32_t id = -2;  // of the last token on it; -2: nothing ends here yet
  };

  void offer(Best& target, double score, size_t begin, int32_t id) const {
    if (target.id != -2 && !(score > target.score)) return;
    target.score = single_ ? static_cast<double>(static_cast<float>(score)) : score;
    target.begin = static_cast<uint32_t>(begin);
    target.id = id;
  }

  void emit(std::string_view text, int32_t id, std::vector<int32_t>& out) const {
    if (id != unknown_) return out.push_back(id);
    if (!single_)
      if (int32_t known = vocab_.find(text); known >= 0) return out.push_back(known);
    if (std::all_of(text.begin(), text.end(), [&](char c) { return fallback_[static_cast<unsigned char>(c)] >= 0; })) {
      for (unsigned char c : text) out.push_back(fallback_[c]);
    } else if (unknown_ >= 0) {
      out.push_back(unknown_);
    }
  }

  const PieceTable& vocab_;
  std::vector<double> scores_;
  ByteTrie trie_;
  int32_t unknown_;
  bool single_;
  double unknown_score_;
  std::array<int32_t, 256> fallback_;
};

}  // namespace

std::unique_ptr<const TokenModel> make_unigram(const PieceTable& vocab, std::vector<double> scores, std::vector<PieceType> types,
                                               int32_t unknown, bool byte_fallback, bool single) {
  return std::make_unique<Unigram>(vocab, std::move(scores), std::move(types), unknown, byte_fallback, single);
}

}  // namespace ingot
