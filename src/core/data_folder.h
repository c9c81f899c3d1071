// Where this machine's own state lies: pulled models, keys, usage, logs.
#pragma once

#include <filesystem>
#include <string>

namespace ingot {

// The given folder if there is one, else $INGOT_DATA, else $XDG_DATA_HOME/ingot, else ~/.local/share/ingot. Makes nothing.
std::filesystem::path data_folder(const std::string& given = "");

// Held while alive, freed by the system if the process dies. Two holders of one file exclude each other.
class FileLock {
 public:
  FileLock() = default;
  // Makes the file; waits if `wait`, calling `waiting` once before. Not held() afterwards only if wait is false.
  // Throws Error: environment if the file cannot be made, interrupted after Ctrl-C.
  FileLock(const std::filesystem::path& file, bool wait, void (*waiting)(const std::filesystem::path&) = nullptr);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  bool held() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;  // owns
};

// Bytes that this user may still write where the path lies; the nearest folder that exists is asked.
uint64_t free_bytes(const std::filesystem::path& path);

}  // namespace ingot
