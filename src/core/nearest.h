// The known name nearest to one that is not, for error messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ingot {

// Levenshtein distance in bytes.
size_t edit_distance(std::string_view a, std::string_view b);

// Empty if nothing is near enough to be meant (distance over a third of the length, at least 2).
std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace ingot
