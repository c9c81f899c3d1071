// A model split into GGUF files: the parts, one after the other, each behind a line "=====".
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "formats/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  namespace fs = std::filesystem;
  constexpr std::string_view kMark = "=====\n";
  constexpr size_t kMost = 4;
  static const fs::path folder = [] {
    const fs::path made = fs::temp_directory_path() / ("fuzz-parts-" + std::to_string(::getpid()));
    fs::create_directories(made);
    return made;
  }();
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<std::string_view> parts;
  while (rest.starts_with(kMark) && parts.size() < kMost) {
    rest.remove_prefix(kMark.size());
    const size_t end = std::min(rest.find(kMark), rest.size());
    parts.push_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (parts.empty()) return 0;
  std::vector<fs::path> files;
  for (size_t i = 0; i < parts.size(); ++i) {
    char name[40];
    std::snprintf(name, sizeof name, "m-%05zu-of-%05zu.gguf", i + 1, parts.size());
    files.push_back(folder / name);
    std::ofstream(files.back(), std::ios::binary).write(parts[i].data(), static_cast<std::streamsize>(parts[i].size()));
  }
  try {
    const auto gguf = Gguf::open(files[0]);
    gguf->release_pages();
    for (const GgufTensor& t : gguf->tensors()) {
      const std::string_view held(reinterpret_cast<const char*>(t.data), t.bytes);
      if (!held.empty() && held.front() == 1 && held.back() == 2) continue;  // both ends are readable
    }
  } catch (const Error&) {
  }
  for (const fs::path& file : files) fs::remove(file);
  return 0;
}
