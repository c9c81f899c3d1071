// The .ingot file: a zip64 of stored members, aligned to 64 KiB, under one hash tree (docs/ingot-format.md).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// Collects members and writes the canonical layout; the file appears by rename.
class ArchiveWriter {
 public:
  void add(std::string name, std::string bytes);                             // owns the bytes
  void add_file(std::string name, const std::filesystem::path& source);      // read at write()
  // prefix: bytes put in front (an ELF image) or empty. signing_key: 32-byte Ed25519 seed or empty.
  void write(const std::filesystem::path& path, std::span<const std::byte> prefix = {}, std::string_view signing_key = {}) const;

 private:
  struct Member {
    std::string name;
    std::string bytes;
    std::filesystem::path file;
  };
  std::vector<Member> members_;
};

struct ArchiveMember {
  std::string name;
  uint64_t offset, size;  // of the stored bytes in the file
  std::string sha256;     // hex
};

// A mapped archive. open() checks the structure, the manifest and the signature at once; each page of a member against the
// hash tree on first use; verify() checks every byte. Throws Error (altered) naming the first bad page and its member.
class Archive {
 public:
  static std::shared_ptr<const Archive> open(const std::filesystem::path& path);
  virtual ~Archive() = default;

  virtual const std::vector<ArchiveMember>& members() const = 0;
  virtual bool has(std::string_view name) const = 0;
  virtual std::span<const std::byte> member(std::string_view name) const = 0;  // checked; throws if absent
  std::string_view text(std::string_view name) const {
    auto bytes = member(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  virtual std::string hash() const = 0;                       // hex root hash; names the AI
  virtual std::optional<std::string> signer() const = 0;      // hex public key, if signed
  virtual std::span<const std::byte> prefix() const = 0;      // the bytes before the zip (an ELF image), may be empty
  virtual void verify() const = 0;
  virtual const std::filesystem::path& path() const = 0;
};

}  // namespace ingot
