// Text between a beginning and an end, as editors ask for it: the marks that a model has learnt for it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace ingot {

struct MiddleMarks {
  int32_t prefix = -1, suffix = -1, middle = -1, repository = -1, file = -1;  // token ids; the last two may be missing
  explicit operator bool() const { return prefix >= 0 && suffix >= 0 && middle >= 0; }
};
MiddleMarks middle_marks(const Tokenizer& tokenizer);

// extra: (name, text) of other files, for models that know repositories. begun: what the middle begins with already.
// REQUIRES: marks.
std::vector<int32_t> middle_prompt(const Tokenizer& tokenizer, const MiddleMarks& marks, const std::string& prefix, const std::string& suffix,
                                   const std::vector<std::pair<std::string, std::string>>& extra = {}, const std::string& begun = "");

}  // namespace ingot
