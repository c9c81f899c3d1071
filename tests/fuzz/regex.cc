// Regular expressions: parsed, compiled, and walked a little way through their masks.
#include "grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    walk_grammar(grammar::parse_regex(text));
  } catch (const Error&) {
  }
  return 0;
}
