// The .ingot reader over hostile bytes: as a whole file, as a directory, and as the manifest of a file whose seal fits.
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "core/error.h"
#include "core/progress.h"
#include "formats/archive.h"
#include "formats/archive_tree.h"
#include "formats/archive_zip.h"
#include "formats/crc32.h"

namespace {

using namespace ingot;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

void read_whole(std::string bytes) {
  try {
    const auto archive = Archive::from_bytes(std::move(bytes), "fuzz");
    for (const ArchiveMember& member : archive->members()) archive->member(member.name);
    archive->verify();
  } catch (const Error&) {
  }
}

void read_directory(std::string_view bytes) {
  try {
    for (const ZipEntry& entry : read_central_directory(bytes_of(bytes), "fuzz")) read_local_header(bytes_of(bytes), entry, "fuzz");
  } catch (const Error&) {
  }
}

// Everything right but the manifest, which is the input; "@" in it stands for the true root.
std::string sealed(std::string manifest) {
  std::string out;
  std::vector<ZipEntry> entries;
  const auto put = [&](std::string_view name, std::string_view bytes) {
    ZipEntry entry;
    entry.name = name, entry.crc = crc32(bytes_of(bytes)), entry.size = bytes.size();
    out += local_header(entry, out.size());
    out += bytes;
    entries.push_back(std::move(entry));
  };
  put("recipe.toml", "a");
  out.resize(2 * page_size, '\0');
  const Digest pages[] = {sha256(std::string_view(out).substr(0, page_size)), sha256(std::string_view(out).substr(page_size))};
  Digest root{};
  put(tree_name, build_tree(pages, root));
  if (const size_t at = manifest.find('@'); at != manifest.npos) manifest.replace(at, 1, hex(root));
  put(manifest_name, manifest);
  Seal seal;
  put(signature_name, seal.bytes());
  const std::string unsealed = out + central_directory(entries, out.size());
  seal.digest = seal_digest(bytes_of(unsealed).subspan(2 * page_size), 2 * page_size, entries.back());
  const std::string bytes = seal.bytes();
  ZipEntry& entry = entries.back();
  std::memcpy(out.data() + entry.data, bytes.data(), bytes.size());
  entry.crc = crc32(bytes_of(bytes));
  for (int i = 0; i < 4; ++i) out[entry.header + 14 + i] = static_cast<char>(entry.crc >> (8 * i));
  return out + central_directory(entries, out.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_progress_style(ProgressStyle::silent);
  const std::string input(reinterpret_cast<const char*>(data), size);
  read_whole(input);
  read_directory(input);
  if (input.starts_with("{")) read_whole(sealed(input));
  return 0;
}
