// Where sentences end, in running text and in text that is still coming.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace ingot {

// The byte after the first sentence of text and the blanks behind it, or npos when its end is not there yet. An end is a line
// end, or . ! ? (also in their East Asian forms) with the quotes that belong to it and a blank; not behind an abbreviation.
size_t sentence_end(std::string_view text);

// The sentences, blanks trimmed, none empty; one of more than `most` words is cut after every `most` of them.
std::vector<std::string_view> sentences_of(std::string_view text, size_t most = 40);

}  // namespace ingot
