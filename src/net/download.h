// Fetching from other machines by HTTP, only when a person asked for it. The static runner refuses (no_curl_download.cc).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace ingot {

struct RetryPolicy {
  int attempts = 5;                             // in a row without a byte of progress
  std::chrono::milliseconds first_wait{1000};   // doubled each time, unless the server says Retry-After
  std::chrono::milliseconds longest_wait{120000};
};

struct HttpQuery {
  std::string url;                   // http or https
  std::vector<std::string> headers;  // "Name: value"
  std::string bearer;                // for the url's own host; never follows a redirect to another
  RetryPolicy retry;
  std::chrono::seconds quiet{30};    // without a byte, after which a transfer counts as broken
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case, of the last answer of a chain of redirects
  std::string body;
  std::string url;  // after redirects
};

// What could not be had. `unreachable`: the host did not answer at all, so another file of it is not worth a try.
struct FetchError : Error {
  FetchError(std::string what, std::string where, std::string todo, int http_status, bool host_unreachable)
      : Error(ErrorKind::environment, std::move(what), std::move(where), std::move(todo)), status(http_status), unreachable(host_unreachable) {}
  int status;
  bool unreachable;
};

// A small document. Throws FetchError for anything but 200, Error (interrupted) after Ctrl-C.
HttpAnswer http_get(const HttpQuery& query, size_t limit = 16 << 20);

// The answer to a JSON document that is posted, under the same rules; no redirects are followed.
HttpAnswer http_ask(const HttpQuery& query, const std::string& json, size_t limit = 16 << 20);

struct FileFetch {
  HttpQuery query;
  std::filesystem::path partial;  // grows; beside it lies partial + ".state" with what a resumption needs
  uint64_t size = 0;              // bytes it must have; 0: unknown
  bool immutable = false;         // a hash is checked afterwards, so bytes without a validator may be resumed too
  std::function<void(uint64_t piece, uint64_t at, uint64_t whole)> progress;  // bytes that came, where they end, size of the file (0: unknown)
};

// Fetches into `partial`, going on where an earlier try stopped. Throws FetchError, Error (environment: disk; interrupted).
void fetch_file(const FileFetch& fetch);

// Seconds of a Retry-After header, given as a number or an HTTP date; -1 if it is neither.
long retry_after_seconds(std::string_view value, long now);

// Without a user, password and query, for messages: these may hold secrets.
std::string shown_url(std::string_view url);

}  // namespace ingot
