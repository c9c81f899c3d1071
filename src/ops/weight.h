// A named parameter: [rows, cols] in any stored type, or a vector (rows 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tensor/element_type.h"

namespace ingot {

struct LowRank;

struct Weight {
  std::string name;
  ElementType type = ElementType::kF32;
  int64_t rows = 0, cols = 0;
  const void* data = nullptr;   // rows of row_bytes(type, cols); owned by whoever loaded it
  float* grad = nullptr;        // [rows, cols] or null: frozen
  const LowRank* low_rank = nullptr;  // what linear() adds; owned by whoever trains or loaded it
  // The rows once more in the order that products read them in (ops/interleave.h), made from the data at `interleaved_from`.
  std::shared_ptr<const std::byte> interleaved = nullptr;
  const void* interleaved_from = nullptr;

  explicit operator bool() const { return data != nullptr; }
  const void* interleaved_rows() const { return interleaved && interleaved_from == data ? interleaved.get() : nullptr; }
  const float* f32() const { return static_cast<const float*>(data); }  // REQUIRES: type kF32
  int64_t size() const { return rows * cols; }
};

// W x becomes W x + scale B (A x) (Hu 2021). A and B are f32.
struct LowRank {
  Weight a;         // [rank, cols]
  Weight b;         // [rows, rank]
  float scale = 1;
};

}  // namespace ingot
