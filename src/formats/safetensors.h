// safetensors: a JSON header and raw tensors, read in place; a folder of shards through its index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "tensor/element_type.h"

namespace ingot {

struct SafetensorsTensor {
  std::string name;
  std::vector<int64_t> shape;       // outermost first; may be empty (one element) or hold zeros
  std::string dtype;                // as written: "F32", "BF16", "I64", ...
  std::optional<ElementType> type;  // nothing for a dtype that we list but do not compute with
  const std::byte* data = nullptr;  // row-major, in the mapping; aligned only as the file is
  uint64_t bytes = 0;

  int64_t elements() const;
};

// Every length and offset is checked before use; the tensors must cover the data without gap or overlap, as the format demands.
// Error (input) names the tensor, what was expected and what was found.
class Safetensors {
 public:
  // A file, a model.safetensors.index.json, or a folder that holds one of model.safetensors and the index. Owns the mappings.
  static std::shared_ptr<const Safetensors> open(const std::filesystem::path& path);
  // owner keeps the bytes alive; name appears in errors.
  static std::shared_ptr<const Safetensors> parse(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> owner = {});

  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // "__metadata__" of the files
  const SafetensorsTensor* find(std::string_view name) const;                        // null when absent
  const SafetensorsTensor& tensor(std::string_view name, std::span<const int64_t> shape) const;  // refused unless it has this shape
  std::vector<float> floats(std::string_view name, std::span<const int64_t> shape) const;        // the same, widened from F16 or BF16
  const std::string& name() const { return name_; }
  // Lets go of the memory that holds the files, where they were opened by path; what is touched again is read again.
  void release_pages() const {
    for (const MappedFile& file : files_) file.release();
  }

 private:
  void read(std::span<const std::byte> bytes, const std::string& name);
  std::vector<MappedFile> files_;
  std::shared_ptr<const void> owner_;
  std::string name_;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsTensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace ingot
