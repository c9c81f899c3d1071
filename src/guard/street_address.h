// Where somebody lives: a house number with the name of a street.
#pragma once

#include <cstddef>
#include <string_view>

namespace ingot {

// The byte after a street address that begins at `at`, 0 if none does: "12 Long Lane, Apt 4" (English), "12 bis rue de la Paix"
// (French), "Hauptstraße 12a" (German), "Calle Mayor 5", "Via Roma, 3" (Spanish, Italian), "PO Box 123". It ends within its line.
size_t street_address_end(std::string_view text, size_t at);

}  // namespace ingot
