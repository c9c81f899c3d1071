#include "models/hf_weights.h"

#include <algorithm>

#include "core/error.h"

namespace ingot {

Weight HfWeights::matrix(const std::string& name, int64_t rows, int64_t cols, bool required) const {
  if (!required && !files_->find(name)) return {};
  const int64_t shape[] = {rows, cols};
  const SafetensorsTensor& t = files_->tensor(name, shape);
  if (!t.type) bad_input("tensor " + name + " has dtype " + t.dtype + ", expected F32, F16 or BF16", files_->name(), "convert the model");
  return {name, *t.type, rows, cols, t.data, nullptr};
}

Weight HfWeights::vector(const std::string& name, int64_t length, bool required, float plus) {
  if (!required && !files_->find(name)) return {};
  const int64_t shape[] = {length};
  auto values = files_->floats(name, shape);
  std::shared_ptr<float[]> kept(new float[values.size()]);
  std::ranges::transform(values, kept.get(), [plus](float v) { return v + plus; });
  owned_.push_back(kept);
  return {name, ElementType::kF32, 1, length, kept.get(), nullptr};
}

}  // namespace ingot
