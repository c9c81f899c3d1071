// recipe.toml, and --set.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    parse_recipe(text, "fuzz");
    const size_t line = text.find(10);
    if (line != text.npos) parse_recipe(text.substr(line + 1), "fuzz", {std::string(text.substr(0, line))});
  } catch (const Error&) {
  }
  return 0;
}
