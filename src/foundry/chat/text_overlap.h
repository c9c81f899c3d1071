// How near an answer is to the right one, by words: what summaries and short answers are judged with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// Lower-case runs of ASCII letters and digits, as Google's rouge_score takes them; bytes above 127 count as letters.
std::vector<std::string> overlap_words(std::string_view text);

// Lin 2004: F1 of the longest common subsequence of words. 1 when both have no word.
double rouge_l(std::string_view said, std::string_view right);
// F1 of the words as a bag (SQuAD).
double token_f1(std::string_view said, std::string_view right);
// Equal but for spaces at the ends and runs of spaces.
bool exact_match(std::string_view said, std::string_view right);

}  // namespace ingot
