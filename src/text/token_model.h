// What turns one piece of prepared text into ids: one file a kind.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/piece_table.h"

namespace ingot {

// Immutable once made; any thread may use it.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // Appends the ids of `piece`, valid UTF-8 and not empty. A model that has no unknown token leaves out what it cannot spell.
  virtual void encode(std::string_view piece, std::vector<int32_t>& out) const = 0;
};

struct Merge {
  int32_t left, right, whole;
};

struct BpeOptions {
  bool bytes = false;          // pieces start as bytes, else as characters
  int32_t unknown = -1;        // for a character (or byte) that has no token
  bool fuse_unknown = false;   // one for a run of them
  bool byte_fallback = false;  // an unknown character becomes tokens named <0x00> to <0xFF>, if all are there
  bool whole_first = false;    // a piece that is a token needs no merges
};

// Merges in order of rank. The vocabulary outlives the model.
std::unique_ptr<const TokenModel> make_bpe(const PieceTable& vocab, const std::vector<Merge>& merges, BpeOptions options);

enum class PieceType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };  // as SentencePiece numbers them

// SentencePiece's BPE: of all neighbours whose text is a token, those with the best score merge first.
std::unique_ptr<const TokenModel> make_scored_bpe(const PieceTable& vocab, std::vector<float> scores, std::vector<PieceType> types,
                                                  int32_t unknown, bool byte_fallback);

// The likeliest cut under a unigram model. With types as SentencePiece sums, in float over the whole text; without as tokenizers does, in
// double over each word.
std::unique_ptr<const TokenModel> make_unigram(const PieceTable& vocab, const std::vector<double>& scores, const std::vector<PieceType>& types,
                                               int32_t unknown, bool byte_fallback);

// The longest token first; what cannot be spelt is one unknown token.
std::unique_ptr<const TokenModel> make_word_piece(const PieceTable& vocab, int32_t unknown, std::string prefix, size_t most_characters);

// The id of <0xHH>, or -1.
int32_t byte_token(const PieceTable& vocab, unsigned char byte);

}  // namespace ingot
