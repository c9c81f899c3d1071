#include "core/files.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace ingot {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& verb, const fs::path& path, int error) {
  bool missing = error == ENOENT && verb == "open";  // a file to be read; what cannot be created is the machine's affair
  throw Error(missing ? ErrorKind::input : ErrorKind::environment,
              "cannot " + verb + ": " + std::strerror(error), path.string(),
              missing ? "check the path" : error == ENOSPC || error == EDQUOT ? "free some disk space" : error == EFBIG ? "the limit on file sizes (ulimit -f) is too low" : "check permissions and the disk");
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

MappedFile::MappedFile(const fs::path& path) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail("open", path, errno);
  struct stat info {};
  if (fstat(file.fd, &info) != 0) fail("read", path, errno);
  if (!S_ISREG(info.st_mode)) bad_input(S_ISDIR(info.st_mode) ? "this is a folder" : "this is no plain file", path.string(), "give a file");
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) fail("map", path, errno);
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release_before(size_t offset) {
  constexpr size_t kStep = size_t{8} << 20;  // a multiple of any page; a call to the system is worth it no sooner
  const size_t end = std::min(offset, size_) / kStep * kStep;
  if (end <= released_) return;
  drop(released_, end);
  released_ = end;
}

void MappedFile::drop(size_t from, size_t to) const {
  if (from < to) madvise(const_cast<std::byte*>(data_) + from, to - from, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), released_(std::exchange(other.released_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(released_, other.released_);
  return *this;
}

std::string read_file(const fs::path& path, size_t limit) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail("open", path, errno);
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    ssize_t n = read(file.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EISDIR) bad_input("this is a folder", path.string(), "give a file");
    if (n < 0) fail("read", path, errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > limit) bad_input("larger than " + std::to_string(limit) + " bytes", path.string(), "split the file");
  }
}

namespace {

// Where a file that is made by a rename must be made: behind the links of this path. What is no plain file would be lost by it.
fs::path output_target(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) throw Error(ErrorKind::environment, "this is no plain file", path.string(), "choose another file to write");
  const fs::path target = fs::is_symlink(path, error) ? fs::canonical(path, error) : path;
  return error || target.empty() ? path : target;  // a link that leads nowhere is replaced
}

}  // namespace

void check_output(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code error;
  if (fs::is_directory(path, error)) throw Error(ErrorKind::environment, "there is a folder of this name", path.string(), "choose another file to write");
  if (!fs::is_directory(parent, error)) throw Error(ErrorKind::environment, "there is no such folder", parent.string(), "make it, or choose another place to write");
  if (access(parent.c_str(), W_OK) != 0) fail("write into", parent, errno);
  output_target(path);
}

void write_file(const fs::path& given, std::string_view bytes) {
  const fs::path path = output_target(given);
  fs::path part = path;
  part += ".part" + std::to_string(getpid());
  Descriptor file{open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (file.fd < 0) fail("create", path, errno);
  const auto give_up = [&](const char* verb) {
    int error = errno;
    unlink(part.c_str());
    fail(verb, path, error);
  };
  for (size_t done = 0; done < bytes.size();) {
    ssize_t n = write(file.fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) give_up("write");
    done += static_cast<size_t>(n);
  }
  if (fsync(file.fd) != 0) give_up("sync");
  if (rename(part.c_str(), path.c_str()) != 0) give_up("rename into place");
}

fs::path own_path() {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (!error) return path;
  const char* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  return name ? fs::absolute(name, error) : fs::path{};
}

fs::path share_dir() {
  fs::path folder = own_path().parent_path();
  for (fs::path candidate : {folder / "../share/ingot", folder / ".."}) {
    std::error_code error;
    if (fs::exists(candidate / "models", error)) return candidate.lexically_normal();
  }
  return folder;
}

}  // namespace ingot
