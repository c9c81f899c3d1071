// What an option's number may be. Its error names the option (CLI11 does), the text that was given and the range; unlike CLI11's own
// checks these refuse "nan" and "inf", too.
#pragma once

#include <cstdint>
#include <limits>

namespace CLI {
class Validator;
}

namespace ingot {

inline constexpr int64_t kMostWhole = std::numeric_limits<int32_t>::max();  // fits every counting option

CLI::Validator whole(int64_t least, int64_t most = kMostWhole);
CLI::Validator from_to(double least, double most);
CLI::Validator at_least(double least);
CLI::Validator above(double bound);

}  // namespace ingot
