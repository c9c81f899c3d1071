// Words, word pairs and pieces of words of a text, hashed into a fixed number of places (Weinberger et al., ICML 2009).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ingot {

struct HashedRow {
  std::vector<uint32_t> ids;   // ascending, < kHashedPlaces
  std::vector<float> values;   // the words' part and the pieces' part have unit length each
};

constexpr uint32_t kHashedPlaces = 1u << 18;  // the lower half is for words, the upper for pieces of 3 to 5 characters

// normalised: what normalise_text() gives. Linear in the text; memory does not grow with it.
HashedRow hashed_features(std::string_view normalised);

// A row of these places, each counted once; places must ascend.
HashedRow row_of_places(std::vector<uint32_t> places);

}  // namespace ingot
