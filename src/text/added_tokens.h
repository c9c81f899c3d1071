// Finds added tokens in text: leftmost, longest.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/tokenizer.h"

namespace ingot {

class AddedMatcher {
 public:
  // patterns[i] is what the text shows of added[wanted[i]].
  AddedMatcher(const std::vector<AddedToken>& added, const std::vector<size_t>& wanted, const std::vector<std::string>& patterns);

  // Calls plain(part) and token(id) in order of the text. Without `special`, special tokens are plain text; so are those that begin at
  // an offset in `written` (sorted).
  template <class Plain, class Token>
  void split(std::string_view text, bool special, Plain plain, Token token, std::span<const size_t> written = {}) const {
    size_t done = 0;
    for (size_t i = 0; i < text.size();) {
      if (!trie_.starts(static_cast<unsigned char>(text[i]))) {
        ++i;
        continue;
      }
      const auto [bytes, which] = trie_.longest(text.substr(i));
      if (which < 0) {
        ++i;
        continue;
      }
      const AddedToken& added = added_[static_cast<size_t>(which)];
      size_t begin = i, end = i + bytes;
      i = end;
      if ((added.special && (!special || std::binary_search(written.begin(), written.end(), begin))) || (added.single_word && inside_word(text, begin, end))) continue;
      if (added.left_strip) begin = std::max(done, space_before(text, begin));
      if (added.right_strip) end = space_after(text, end);
      if (begin < done) begin = done;  // the token before took this one's front
      if (end < begin) end = begin;
      if (begin > done) plain(text.substr(done, begin - done));
      token(added.id);
      done = end;
    }
    if (done < text.size()) plain(text.substr(done));
  }

  // Where special tokens are written in the text, in order.
  void find_special(std::string_view text, std::vector<size_t>& places) const;

 private:
  static bool inside_word(std::string_view text, size_t begin, size_t end);
  static size_t space_before(std::string_view text, size_t i);
  static size_t space_after(std::string_view text, size_t i);
  ByteTrie trie_;
  const std::vector<AddedToken>& added_;
};

}  // namespace ingot
