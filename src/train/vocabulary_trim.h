// A tokenizer of the tokens that are needed, and of what these are merged from.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "text/tokenizer.h"

namespace ingot {

struct TrimmedVocabulary {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<int32_t> kept;      // the whole tokenizer's id of each token, ascending
  std::vector<int32_t> to_small;  // the other way; -1: gone
};

// Keeps the tokens with used[id], every byte, every added token, and the tokens these are merged from. Text whose tokens are all kept is
// cut as the whole tokenizer cuts it; other text falls into smaller pieces. REQUIRES: used.size() == tokenizer.size().
TrimmedVocabulary trim_vocabulary(const Tokenizer& tokenizer, const std::vector<bool>& used);

}  // namespace ingot
