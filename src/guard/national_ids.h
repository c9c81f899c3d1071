// Numbers that a state gives to a person, by their shape and their check digits.
#pragma once

#include <cstddef>
#include <string_view>

namespace ingot {

// The byte after a national id that begins at `at`, 0 if none does. `at` is the beginning of a word or number.
// United States (SSN, no check digit), Spain, France, Italy, China, United Kingdom (NINO, no check digit), Germany (tax id),
// Netherlands (BSN, where it is named), Brazil (CPF), Poland (PESEL), Sweden, Canada (SIN), India (Aadhaar), South Korea, Belgium.
size_t national_id_end(std::string_view text, size_t at);

}  // namespace ingot
