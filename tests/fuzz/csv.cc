// CSV tables, with the columns of a bug list mapped.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/sources/source.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const MemoryFile file(data, size);
    read_csv(file.path(), {});
    read_csv(file.path(), parse_map("id=Bug ID,engineer=Assignee,text=Summary+Description,time=Opened"));
  } catch (const Error&) {
  }
  return 0;
}
