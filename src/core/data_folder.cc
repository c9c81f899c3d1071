#include "core/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/progress.h"

namespace ingot {
namespace fs = std::filesystem;

fs::path data_folder(const std::string& given) {
  const auto set = [](const char* name) -> const char* {
    const char* value = std::getenv(name);
    return value && *value ? value : nullptr;
  };
  if (!given.empty()) return given;
  if (const char* data = set("INGOT_DATA")) return data;
  if (const char* xdg = set("XDG_DATA_HOME")) return fs::path(xdg) / "ingot";
  const char* home = set("HOME");
  return fs::path(home ? home : ".") / ".local/share/ingot";
}

FileLock::FileLock(const fs::path& file, bool wait, void (*waiting)(const fs::path&)) {
  descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor_ < 0) throw Error(ErrorKind::environment, std::string("cannot make the lock: ") + std::strerror(errno), file.string(), "check permissions and the disk");
  bool told = false;
  while (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int problem = errno;
    if (problem == EINTR) continue;
    if (problem == EWOULDBLOCK && wait && !interrupted()) {
      if (!told && waiting) waiting(file);
      told = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    close(std::exchange(descriptor_, -1));
    if (problem != EWOULDBLOCK) throw Error(ErrorKind::environment, std::string("cannot lock: ") + std::strerror(problem), file.string(), "choose a data folder on a disk that has locks");
    if (wait) stop_if_interrupted(file.c_str());
    return;
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

uint64_t free_bytes(const fs::path& path) {
  std::error_code failed;
  fs::path at = fs::absolute(path, failed);
  while (!fs::exists(at, failed) && at.has_relative_path()) at = at.parent_path();
  const fs::space_info space = fs::space(at, failed);
  return failed ? 0 : space.available;
}

}  // namespace ingot
