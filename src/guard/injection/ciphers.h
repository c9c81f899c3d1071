// Encodings and simple ciphers that a text can be read through.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

struct Decoded {
  std::string text;   // the whole text with the encoded parts in plain, or the whole text deciphered
  std::string name;   // "base64", "rot13", ...
};

// Every decoding that gives something readable which was not there before.
std::vector<Decoded> decodings_of(std::string_view text);

// At least nine of ten bytes are letters, digits, blanks or common punctuation, and it is UTF-8.
bool mostly_text(std::string_view bytes);

// How many words of the text are among the commonest of English and of instructions to a model.
size_t common_words(std::string_view text);

}  // namespace ingot
