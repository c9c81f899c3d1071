// Zips that others wrote (Python wheels): stored and deflated members, zip64, read by name. Our own archive is archive_zip.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"

namespace ingot {

struct ZipMember {
  std::string name;
  uint64_t size = 0, packed = 0, header = 0;  // bytes, bytes in the file, offset of the local header
  uint32_t crc = 0;
  uint16_t method = 0, flags = 0;
};

class ZipReader {
 public:
  // Throws Error (input) for what is not a zip or points outside itself. Nothing is unpacked yet.
  static ZipReader open(const std::filesystem::path& file);
  static ZipReader parse(std::span<const std::byte> bytes, const std::string& where);  // bytes must outlive the reader

  const std::vector<ZipMember>& members() const { return members_; }
  const ZipMember* find(std::string_view name) const;

  // Hands the member's bytes over piece by piece; never more than its stated size. Throws Error (input) if the bytes are
  // altered, encrypted or packed by another method.
  void read(const ZipMember& member, const std::function<void(std::span<const std::byte>)>& take) const;

 private:
  std::shared_ptr<const MappedFile> file_;
  std::span<const std::byte> bytes_;
  std::string where_;
  std::vector<ZipMember> members_;
};

}  // namespace ingot
