// The static runner sends nothing.
#include "net/http_post.h"

namespace ingot {

bool can_post() { return false; }
PostAnswer http_post(const std::string&, std::string_view, std::string_view, std::chrono::milliseconds) { return {0, "this runner has no HTTP client"}; }

}  // namespace ingot
