// What every answer to a browser carries, and how an error looks there.
#pragma once

#include <string>

#include "net/http_server.h"

namespace ingot {

struct Refusal;

// The content security policy and its like: nothing but this origin's own files runs, and no other page frames them.
const HttpHeaders& page_headers();

// A page that stands alone: what is wrong and what to do.
std::string error_page(const Refusal& refusal);

}  // namespace ingot
