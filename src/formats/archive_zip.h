// The zip records of an .ingot (APPNOTE 6.3.9: stored members, zip64 where a number needs it) and its seal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/sha256.h"

namespace ingot {

inline constexpr std::string_view manifest_name = "manifest.json", tree_name = "tree.bin", signature_name = "signature";
inline constexpr int archive_format = 1;
inline constexpr uint64_t max_manifest = uint64_t{64} << 20, max_members = 1 << 16;

struct ZipEntry {
  std::string name;
  uint32_t crc = 0;
  uint64_t header = 0;  // offset of the local header in the file
  uint64_t data = 0;    // offset of the bytes; a multiple of page_size
  uint64_t size = 0;    // bytes
};

// "" if good, else what is wrong: 1-255 bytes of printable ASCII, '/'-separated, no empty, "." or ".." part.
std::string name_problem(std::string_view name);

// Throws Error (altered): the file is not as it was packed.
[[noreturn]] void altered(std::string what, std::string where);

// Zero bytes (rarely), the local header and its padding, so that the member's bytes, which follow, lie on a page.
// Sets entry.header and entry.data; `at` is where the result will be written.
std::string local_header(ZipEntry& entry, uint64_t at);

// Central directory and end records; `at` as above.
std::string central_directory(std::span<const ZipEntry> entries, uint64_t at);

// Reads the end records and the central directory of a whole file; entry.data is left 0. Throws Error (altered).
std::vector<ZipEntry> read_central_directory(std::span<const std::byte> file, const std::string& where);

// Offset of the member's bytes by its local header; throws Error (altered) if that disagrees with the directory's entry.
uint64_t read_local_header(std::span<const std::byte> file, const ZipEntry& entry, const std::string& where);

// The member "signature": magic, digest of everything after tree.bin but itself, public key, signature (zeros if unsigned).
struct Seal {
  static constexpr size_t size = 8 + 32 + 32 + 64;
  Digest digest{};
  std::string public_key = std::string(32, '\0'), signature = std::string(64, '\0');

  bool is_signed() const { return public_key != std::string(32, '\0'); }
  std::string bytes() const;
  static Seal read(std::span<const std::byte> bytes, const std::string& where);
  std::string message() const;  // what is signed
};

// SHA-256 of the file from `tail_begin` on, without the seal's bytes and with both copies of its CRC as zero.
Digest seal_digest(std::span<const std::byte> tail, uint64_t tail_begin, const ZipEntry& seal);

}  // namespace ingot
