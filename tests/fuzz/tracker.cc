// Exports of issue trackers; the first byte chooses which.
#include <array>
#include <cstdint>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/sources/source.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  if (size == 0) return 0;
  static constexpr std::array kinds{"bugzilla", "github", "jira"};
  const MemoryFile file(data + 1, size - 1);
  try {
    read_tracker(kinds[data[0] % kinds.size()], file.path(), {});
  } catch (const Error&) {
  }
  return 0;
}
