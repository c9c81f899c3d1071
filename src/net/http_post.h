// Sends a small document to another machine, only where a person named it. The static runner cannot (no_curl_http_post.cc).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace ingot {

bool can_post();  // false in the static runner

// The status of the answer, whose body is thrown away; 0 when none came, and why. No redirects. Any thread.
struct PostAnswer {
  int status = 0;
  std::string fault;
};
PostAnswer http_post(const std::string& url, std::string_view content_type, std::string_view body, std::chrono::milliseconds time);

}  // namespace ingot
