// Does a text go round in circles?
#pragma once

#include <string_view>

namespace ingot {

// Share of the runs of four words that stand elsewhere in the text too, 0 to 1; 0 below forty words. Looks at the last
// thousand words at most.
double repetition_of(std::string_view text);
constexpr double kRepetitionThreshold = 0.8;

}  // namespace ingot
