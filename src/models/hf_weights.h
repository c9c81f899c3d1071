// The tensors of a Hugging Face folder as named weights: matrices stay in the mapping, vectors become f32.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "ops/weight.h"

namespace ingot {

class HfWeights {
 public:
  explicit HfWeights(std::shared_ptr<const Safetensors> files) : files_(std::move(files)) {}

  // Error (input) names the tensor, what was expected and what was found. Not required and absent: an empty weight.
  Weight matrix(const std::string& name, int64_t rows, int64_t cols, bool required = true) const;
  // f32 whatever the file has, `plus` added to every element (Gemma stores its norms less one).
  Weight vector(const std::string& name, int64_t length, bool required = true, float plus = 0);
  const std::shared_ptr<const Safetensors>& files() const { return files_; }  // weights point into it: keep it with them
  std::vector<std::shared_ptr<float[]>> owned() && { return std::move(owned_); }

 private:
  std::shared_ptr<const Safetensors> files_;
  std::vector<std::shared_ptr<float[]>> owned_;
};

}  // namespace ingot
