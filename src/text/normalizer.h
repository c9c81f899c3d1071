// What happens to text before it is cut: tokenizer.json's normalizers and SentencePiece's own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/pre_tokenize.h"

namespace ingot {

// Changes valid UTF-8 in place; at_start: it is the front of the whole text.
using NormalizeStep = std::function<void(std::string&, bool at_start)>;

enum class UnicodeForm : uint8_t { kNfc, kNfd, kNfkc, kNfkd };

struct BertNormalizing {
  bool clean = true, space_chinese = true, strip_accents = true, lower = true;
};

// Refuses a step that makes far more text than it was given: no published one does.
void bound_growth(size_t made, size_t given);

NormalizeStep unicode_step(UnicodeForm form);
NormalizeStep lower_step();
NormalizeStep strip_accents_step();
NormalizeStep strip_step(bool left, bool right);
NormalizeStep prepend_step(std::string prefix);
NormalizeStep replace_step(std::string from, std::string to);
NormalizeStep replace_runs_step(std::string from, size_t least, std::string to);  // least or more of `from` in a row
NormalizeStep nmt_step();
NormalizeStep bert_step(BertNormalizing options);

// SentencePiece's compiled table of replacements: a double-array trie of what is replaced and the texts that replace it.
class CharacterMap {
 public:
  explicit CharacterMap(std::string blob, const std::string& name);  // throws Error (input)
  struct Match {
    size_t bytes = 0;  // 0: none
    std::string_view with;
  };
  Match shortest(std::string_view text) const;
  Match longest(std::string_view text) const;
  const std::string& blob() const { return blob_; }

 private:
  template <class Found>
  void walk(std::string_view text, Found found) const;  // found(bytes, offset of the replacement) returns whether to go on
  std::string_view replacement(uint32_t offset) const;
  uint32_t unit(size_t i) const;
  std::string blob_;
  size_t units_ = 0;
};

// As tokenizer.json's Precompiled does: short grapheme clusters whole, others by character, each by its shortest match.
NormalizeStep precompiled_step(std::shared_ptr<const CharacterMap> map);

struct SentencePieceNormalizing {
  std::shared_ptr<const CharacterMap> map;  // null: none
  std::shared_ptr<const ByteTrie> kept;     // user-defined pieces, which stay as they are; null: none
  Prefix dummy_prefix = Prefix::kAlways;
  bool remove_extra_spaces = false;
};
NormalizeStep sentence_piece_step(SentencePieceNormalizing options);

}  // namespace ingot
