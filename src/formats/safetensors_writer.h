// Writes safetensors: what PEFT, transformers and this project's reader open.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/element_type.h"

namespace ingot {

class SafetensorsWriter {
 public:
  // values: row-major f32, stored as `type` (F32, F16 or BF16). A name that is used twice replaces the first.
  void add(const std::string& name, std::vector<int64_t> shape, std::vector<float> values, ElementType type = ElementType::kF32);
  std::string bytes() const;  // tensors in the order of their names

 private:
  struct Entry {
    std::vector<int64_t> shape;
    std::string type, data;
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace ingot
