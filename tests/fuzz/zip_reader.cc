// A wheel's zip: directory and unpacking.
#include <cstdint>
#include <span>

#include "core/error.h"
#include "formats/zip_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  try {
    const ZipReader zip = ZipReader::parse(std::as_bytes(std::span(data, size)), "fuzz");
    for (const ZipMember& member : zip.members())
      if (member.size < 1 << 22) zip.read(member, [](std::span<const std::byte>) {});
  } catch (const Error&) {
  }
  return 0;
}
