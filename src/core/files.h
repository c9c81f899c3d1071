// Files read by mapping and written by rename, so that a reader never sees half of one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

// A read-only mapping of a whole file. Throws Error naming the path.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  // Lets go of the memory that holds bytes before `offset`; they are read from the file again if touched.
  void release_before(size_t offset);
  void release() const { drop(0, size_); }  // all of it

 private:
  void drop(size_t from, size_t to) const;
  const std::byte* data_ = nullptr;  // owns the mapping
  size_t size_ = 0, released_ = 0;
};

// Whole file as bytes; refuses one larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit = size_t{1} << 31);

// Throws Error (environment) where write_file() would at the end: before hours of work, not after. A path that is a folder, a folder
// that does not exist or may not be written into.
void check_output(const std::filesystem::path& path);

// Writes beside the target, syncs, then renames over it. Throws Error (environment) when the disk is full or read-only.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// "share/ingot" beside the binary when installed, the source tree's root when run from build/.
std::filesystem::path share_dir();

// This executable's own path; works where there is no /proc (AT_EXECFN).
std::filesystem::path own_path();

}  // namespace ingot
