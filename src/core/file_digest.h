// SHA-256 of what does not lie in memory as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "core/sha256.h"

namespace ingot {

// The digest of bytes that come piece by piece.
class DigestStream {
 public:
  enum class Kind { sha256, sha1 };  // sha1 only because git names files by it
  explicit DigestStream(Kind kind = Kind::sha256);
  ~DigestStream();
  DigestStream(const DigestStream&) = delete;
  void update(std::span<const std::byte> bytes);
  std::string finish();  // hex, once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads a file of any size; `progress` gets the bytes since its last call. Hex. Throws Error.
std::string sha256_of_file(const std::filesystem::path& file, const std::function<void(uint64_t bytes)>& progress = {});

// The name that git gives a file of these bytes.
std::string git_blob_name(const std::filesystem::path& file);

}  // namespace ingot
