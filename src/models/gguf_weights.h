// What a GGUF holds as named weights and sizes: all stay in the mapping.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "ops/weight.h"

namespace ingot {

// Shape {n}: a vector, which must be f32; {rows, cols}: a matrix. Error (input) names the tensor, what was expected and what was found.
// Not required and absent: an empty weight.
Weight gguf_weight(const Gguf& file, const std::string& name, const std::vector<int64_t>& shape, bool required = true);
// 1 to most, else Error (input) naming the key; what stands for an absent key is held to the same.
int64_t gguf_count(const Gguf& file, const std::string& key, int64_t most, std::optional<int64_t> otherwise = {});

}  // namespace ingot
