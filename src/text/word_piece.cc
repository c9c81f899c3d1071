#include "text/byte_trie.h"
#include "text/token_model.h"

namespace ingot {
namespace {

class WordPiece final : public TokenModel {
 public:
  WordPiece(const PieceTable& vocab, int32_t unknown, std::string prefix, size_t most_characters) : unknown_(unknown), most_(most_characters) {
    std::vector<std::pair<std::string_view, int32_t>> first, later;
    for (int32_t id = 0; id < vocab.size(); ++id) {
      const std::string_view piece = vocab[id];
      if (!piece.empty()) first.emplace_back(piece, id);
      if (piece.size() > prefix.size() && piece.starts_with(prefix)) later.emplace_back(piece.substr(prefix.size()), id);
    }
    first_ = ByteTrie(std::move(first));
    later_ = ByteTrie(std::move(later));
  }

  void encode(std::string_view piece, std::vector<int32_t>& out) const override {
    size_t characters = 0;
    for (char c : piece) characters += (c & 0xc0) != 0x80;
    const size_t start = out.size();
    if (characters <= most_) {
      for (size_t i = 0; i < piece.size();) {
        const auto [bytes, id] = (i == 0 ? first_ : later_).longest(piece.substr(i));
        if (id < 0) {
          out.resize(start);
          break;
        }
        out.push_back(id);
        i += bytes;
      }
    }
    if (out.size() == start) out.push_back(unknown_);
  }

 private:
  ByteTrie first_, later_;
  int32_t unknown_;
  size_t most_;
};

}  // namespace

std::unique_ptr<const TokenModel> make_word_piece(const PieceTable& vocab, int32_t unknown, std::string prefix, size_t most_characters) {
  return std::make_unique<WordPiece>(vocab, unknown, std::move(prefix), most_characters);
}

}  // namespace ingot
