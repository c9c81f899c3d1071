// Conversations: JSON lines in every shape, and CSV when the first byte says so.
#include <cstdint>

#include "core/error.h"
#include "core/progress.h"
#include "foundry/chat/chat_data.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  try {
    const bool table = size > 0 && data[0] == ',';
    const MemoryFile file(data + table, size - table);
    ChatData read = read_chat((table ? "csv:" : "jsonl:") + file.path().string(), "", "s");
    drop_repeated(read);
  } catch (const Error&) {
  }
  return 0;
}
