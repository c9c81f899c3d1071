// The static runner fetches nothing.
#include "net/download.h"

namespace ingot {
namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorKind::environment, "this runner cannot fetch anything", "", "use the full ingot for that, and copy the file over");
}

}  // namespace

HttpAnswer http_get(const HttpQuery&, size_t) { refuse(); }
HttpAnswer http_ask(const HttpQuery&, const std::string&, size_t) { refuse(); }
void fetch_file(const FileFetch&) { refuse(); }
long retry_after_seconds(std::string_view, long) { return -1; }
std::string shown_url(std::string_view url) { return std::string(url); }

}  // namespace ingot
