// Debian changelogs, plain and compressed.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/progress.h"
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "core/files.h"
#include "foundry/sources/source.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  set_progress_style(ProgressStyle::silent);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    static const std::filesystem::path folder = [] {
      const auto made = std::filesystem::temp_directory_path() / ("ingot_fuzz_changelog_" + std::to_string(getpid()));
      std::filesystem::create_directories(made / "one");
      return made;
    }();
    // The first byte says which of the names it has; fopen, not write_file, which would wait for the disk.
    const bool packed = size && data[0] == 0x1f;
    const auto file = folder / "one" / (packed ? "changelog.Debian.gz" : "changelog.Debian");
    std::FILE* out = std::fopen(file.c_str(), "wb");
    if (size) std::fwrite(data, 1, size, out);  // an empty input has no address
    std::fclose(out);
    struct Remove {
      std::filesystem::path file;
      ~Remove() { std::filesystem::remove(file); }
    } remove{file};
    read_changelogs(folder);
  } catch (const Error&) {
  }
  return 0;
}
