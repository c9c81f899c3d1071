// What a rail does with what it finds.
#pragma once

#include <string_view>

namespace ingot {

enum class RailMode : unsigned char { off, watch, block, mask };  // mask: private data only
std::string_view name_of(RailMode mode);

}  // namespace ingot
