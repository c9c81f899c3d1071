// A text as a model might read it behind a disguise: decoded, put into plain letters, turned round.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

struct Reading {
  std::string text;      // normalised, as normalise_text() gives
  std::string disguise;  // how it was hidden, in words: "base64", "rot13"; empty: as written
};

// As written first (look-alike letters as the Latin ones that they stand for); then what is found behind encodings: invisible
// characters that carry letters, base64, base32, hex, binary and decimal codes, percent and quoted-printable, Morse, braille,
// rot13, atbash, letters as digits, letters set apart, text backwards. An encoding inside another is followed twice. Linear in
// the text up to kLongestHidden bytes; what an encoding hides beyond them is not looked for, the text as written always is.
std::vector<Reading> readings_of(std::string_view text);
constexpr size_t kLongestHidden = 1 << 20;

}  // namespace ingot
