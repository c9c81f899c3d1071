// The options of every command that runs a model: what keys and values are stored as, and what guesses ahead.
#pragma once

#include <string>

#include "ops/kv_cache.h"

namespace CLI {
class App;
}

namespace ingot {

// What they fill must live until the command has run. names: as CLI11 has them; serve's --cache is a size, so there it is --kv alone.
void add_cache_option(CLI::App& command, CacheType& cache, const char* names = "--kv");
void add_draft_options(CLI::App& command, int64_t& draft, std::string& draft_model);

}  // namespace ingot
