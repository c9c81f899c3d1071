// The .ingot file: a zip64 of stored members, aligned to 64 KiB, under one hash tree (docs/ingot-format.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

class Archive;

// Collects members and writes the canonical layout; the file appears by rename, so a failed write leaves nothing.
// The names manifest.json, tree.bin and signature are the writer's own; add() throws Error (usage) for them, for a name
// that is used twice and for one that does not fit (docs/ingot-format.md, "Member names").
class ArchiveWriter {
 public:
  // What the manifest says of the AI. kind: "triage", "chat", ...; provenance: a JSON object (inputs, versions, ...).
  void describe(std::string kind, std::string name, std::string provenance_json = "{}");

  void add(std::string name, std::string bytes);                         // owns the bytes
  void add_view(std::string name, std::span<const std::byte> bytes);     // borrows: must live until write()
  void add_file(std::string name, const std::filesystem::path& source);  // mapped at write()
  // Description and every member but `without`, unknown ones too; borrows `from` until write().
  void copy(const Archive& from, std::string_view without = {});

  // prefix: bytes put in front (an ELF image; the file is then made executable) or empty.
  // signing_key: 32-byte Ed25519 seed or empty.
  void write(const std::filesystem::path& path, std::span<const std::byte> prefix = {}, std::string_view signing_key = {}) const;

 private:
  struct Member {
    std::string name;
    std::string bytes;
    std::filesystem::path file;        // if not empty
    std::span<const std::byte> view;   // if not empty
  };
  Member& append(std::string name);
  std::string kind_, name_, provenance_ = "{}";
  std::vector<Member> members_;
};

struct ArchiveMember {
  std::string name;
  uint64_t offset, size;  // of the stored bytes in the file
  std::string sha256;     // hex
  bool known = true;      // false: a name that this version gives no meaning to; kept and reported
};

// A mapped archive. open() checks the structure, the manifest and the signature at once; each page of a member against the
// hash tree on first use; verify() checks every byte. Throws Error (altered) naming the first bad page and its member, and
// for a truncated file or one that is not an .ingot. Thread-safe. Spans live as long as the archive.
class Archive {
 public:
  static std::shared_ptr<const Archive> open(const std::filesystem::path& path);
  static std::shared_ptr<const Archive> from_bytes(std::string bytes, std::string name);  // for tests and uploads
  virtual ~Archive() = default;

  virtual const std::vector<ArchiveMember>& members() const = 0;  // in file order, without the format's own three
  virtual bool has(std::string_view name) const = 0;
  virtual std::span<const std::byte> member(std::string_view name) const = 0;  // checked; throws if absent
  // Checks and returns only [offset, offset + size) of a member; for readers that go tensor by tensor.
  virtual std::span<const std::byte> range(std::string_view name, uint64_t offset, uint64_t size) const = 0;
  std::string_view text(std::string_view name) const {
    auto bytes = member(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  virtual std::string_view manifest() const = 0;              // JSON
  virtual std::string kind() const = 0;
  virtual std::string name() const = 0;
  virtual std::string hash() const = 0;                       // hex; names the AI: the same with and without a prefix or signature
  virtual std::optional<std::string> signer() const = 0;      // hex public key, if signed
  virtual std::span<const std::byte> prefix() const = 0;      // the bytes before the zip (an ELF image), may be empty
  virtual void verify() const = 0;                            // every byte; shows progress
  virtual const std::filesystem::path& path() const = 0;
};

// True if `path` ends like an archive: cheap, no promise that it opens.
bool looks_like_archive(const std::filesystem::path& path);

// Ed25519 (RFC 8032). Keys are raw: 32-byte seed, 32-byte public key.
struct SigningKey {
  std::string seed, public_key;
};
SigningKey make_signing_key();                            // from the kernel's random source
std::string signing_public_key(std::string_view seed);    // throws Error (input) unless 32 bytes

}  // namespace ingot
