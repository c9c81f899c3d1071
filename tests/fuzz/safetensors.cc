// A safetensors file; after a first byte of 'i', the index of a sharded one.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/error.h"
#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    std::shared_ptr<const Safetensors> file;
    if (text.starts_with('i')) {
      static const auto path = std::filesystem::temp_directory_path() / ("fuzz-" + std::to_string(::getpid()) + ".safetensors.index.json");
      std::ofstream(path, std::ios::binary).write(text.data() + 1, static_cast<std::streamsize>(size - 1));
      file = Safetensors::open(path);
    } else {
      file = Safetensors::parse(std::as_bytes(std::span(text)), "fuzz");
    }
    for (const SafetensorsTensor& t : file->tensors()) {
      if (t.bytes && std::to_integer<int>(t.data[0]) == 1 && std::to_integer<int>(t.data[t.bytes - 1]) == 2) continue;  // both ends are readable
      if (t.type) file->floats(t.name, t.shape);
    }
  } catch (const Error&) {
  }
  return 0;
}
