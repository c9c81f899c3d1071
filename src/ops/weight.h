// A named parameter: [rows, cols] in any stored type, or a vector (rows 1).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tensor/element_type.h"

namespace ingot {

struct Weight {
  std::string name;
  ElementType type = ElementType::kF32;
  int64_t rows = 0, cols = 0;
  const void* data = nullptr;   // rows of row_bytes(type, cols); owned by whoever loaded it
  float* grad = nullptr;        // [rows, cols] or null: frozen

  explicit operator bool() const { return data != nullptr; }
  const float* f32() const { return static_cast<const float*>(data); }  // REQUIRES: type kF32
  int64_t size() const { return rows * cols; }
};

}  // namespace ingot
