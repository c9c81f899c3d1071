// Text as a reader sees it: one form for letters that look alike, nothing that does not show.
#pragma once

#include <string>
#include <string_view>

namespace ingot {

// Any bytes in; UTF-8 out: case folded, compatibility forms decomposed, accents and invisible characters (zero-width, soft
// hyphens, direction marks) removed, control characters and bytes that are not UTF-8 as spaces. Linear in the text.
std::string normalise_text(std::string_view text);

}  // namespace ingot
