// Little-endian bytes in and out. The reader trusts nothing: every count is checked against what is left.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace ingot {

class BlobWriter {
 public:
  template <typename T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(std::string_view text) {
    put<uint32_t>(static_cast<uint32_t>(text.size()));
    bytes_ += text;
  }
  template <typename T>
  void put(const std::vector<T>& values) {
    put<uint64_t>(values.size());
    if constexpr (std::is_arithmetic_v<T>) {
      bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    } else {
      for (const T& value : values) put(std::string_view(value));
    }
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class BlobReader {
 public:
  BlobReader(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  template <typename T>
    requires std::is_arithmetic_v<T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }
  std::string text() {
    const auto size = get<uint32_t>();
    return {reinterpret_cast<const char*>(take(size)), size};
  }
  template <typename T>
    requires std::is_arithmetic_v<T>
  std::vector<T> vector() {
    const auto count = get<uint64_t>();
    if (count > bytes_.size() / sizeof(T)) fail();
    std::vector<T> values(count);
    if (count) std::memcpy(values.data(), take(count * sizeof(T)), count * sizeof(T));
    return values;
  }
  std::vector<std::string> texts() {
    const auto count = get<uint64_t>();
    if (count > bytes_.size() / sizeof(uint32_t)) fail();
    std::vector<std::string> values;
    for (uint64_t i = 0; i < count; ++i) values.push_back(text());
    return values;
  }
  void require(bool condition) const {
    if (!condition) fail();
  }
  bool done() const { return bytes_.empty(); }

 private:
  const std::byte* take(size_t size) {
    if (size > bytes_.size()) fail();
    const std::byte* at = bytes_.data();
    bytes_ = bytes_.subspan(size);
    return at;
  }
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::altered, "the bytes are not what was written", where_, "check the file with: ingot verify FILE");
  }
  std::span<const std::byte> bytes_;
  std::string where_;
};

}  // namespace ingot
