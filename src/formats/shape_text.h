// A tensor's shape as errors print it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace ingot {

// "[2, 3]".
inline std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace ingot
