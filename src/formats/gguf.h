// GGUF v2/v3: one file of typed metadata and tensors, read in place and written by rename.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/files.h"
#include "tensor/element_type.h"

namespace ingot {

enum class GgufType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

// Integers of every width are held as int64 (a u64 above its range is refused), floats as double.
struct GgufValue {
  GgufType type = GgufType::kU32;
  GgufType element = GgufType::kU32;  // of an array
  std::variant<int64_t, double, bool, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>> value;

  static GgufValue u32(uint32_t v) { return {GgufType::kU32, {}, int64_t{v}}; }
  static GgufValue f32(float v) { return {GgufType::kF32, {}, double{v}}; }
  static GgufValue boolean(bool v) { return {GgufType::kBool, {}, v}; }
  static GgufValue text(std::string v) { return {GgufType::kString, {}, std::move(v)}; }
  static GgufValue texts(std::vector<std::string> v) { return {GgufType::kArray, GgufType::kString, std::move(v)}; }
  static GgufValue i32s(std::vector<int64_t> v) { return {GgufType::kArray, GgufType::kI32, std::move(v)}; }
};

struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape;  // outermost first, as safetensors and PyTorch write it: [rows, columns]
  ElementType type;
  const std::byte* data;  // row-major, in the mapping
  uint64_t bytes;

  int64_t elements() const;
};

// A file or a span of a larger one (an archive's member). Every count and offset is checked before use; Error (input) names the
// key or tensor, what was expected and what was found.
class Gguf {
 public:
  static std::shared_ptr<const Gguf> open(const std::filesystem::path& path);  // owns the mapping
  // general.architecture, which most writers put first: nothing behind it is read. Empty where the file is no GGUF or does not say it.
  static std::string architecture(const std::filesystem::path& path);
  // owner keeps the bytes alive; name appears in errors.
  static std::shared_ptr<const Gguf> parse(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner = {});

  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find(std::string_view name) const;  // null when absent
  const GgufTensor& tensor(std::string_view name, std::span<const int64_t> shape) const;  // refused unless it has this shape

  bool has(std::string_view key) const { return metadata_.contains(key); }
  int64_t integer(std::string_view key) const;  // throws when absent or of another kind
  int64_t integer(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key, double otherwise) const;
  bool boolean(std::string_view key, bool otherwise) const;
  const std::string& text(std::string_view key) const;
  std::string text(std::string_view key, std::string otherwise) const;
  const std::string& name() const { return name_; }
  // Lets go of the memory that holds the file and its other parts, where they were opened by path; what is touched again is read again.
  void release_pages() const;

 private:
  void read(std::span<const std::byte> bytes);
  MappedFile file_;
  std::shared_ptr<const void> owner_;
  std::string name_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::vector<std::shared_ptr<const Gguf>> parts_;  // of a split model, all but the first
};

// Collects metadata and tensors, writes version 3 in one file, aligned to 32 bytes or to what general.alignment was set to.
class GgufWriter {
 public:
  void set(std::string key, GgufValue value) { metadata_[std::move(key)] = std::move(value); }
  // All keys of a file but those that tell of its parts or its element types.
  void copy_metadata(const Gguf& from);
  // data holds the whole tensor, row_bytes(type, columns) a row, and must live until write().
  void add(std::string name, std::vector<int64_t> shape, ElementType type, const void* data);
  void add(std::string name, std::vector<int64_t> shape, ElementType type, std::string owned);
  std::string bytes() const;
  void write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    std::string name;
    std::vector<int64_t> shape;
    ElementType type;
    const void* data;
    std::shared_ptr<std::string> owned;
    uint64_t size;
  };
  std::map<std::string, GgufValue> metadata_;
  std::vector<Entry> tensors_;
};

}  // namespace ingot
