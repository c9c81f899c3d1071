#include "cli/engine_options.h"

#include <CLI/CLI.hpp>

#include "cli/number_range.h"

namespace ingot {

void add_cache_option(CLI::App& command, CacheType& cache, const char* names) {
  command.add_option_function<std::string>(names, [&cache](const std::string& name) { cache = cache_type_of_name(name); },
                                           "what keys and values are stored as: with q8 or q4 the same memory holds 1.9 or 3.2 times the conversation")
      ->check(CLI::IsMember({"f32", "f16", "q8", "q4"}));
}

void add_draft_options(CLI::App& command, int64_t& draft, std::string& draft_model) {
  auto* tokens = command.add_option("--draft", draft, "tokens to guess ahead from the text so far; the answers stay the same")->check(whole(0, 64));
  command.add_option("--draft-model", draft_model, "a smaller model with the same vocabulary, to guess instead")->needs(tokens);
}

}  // namespace ingot
