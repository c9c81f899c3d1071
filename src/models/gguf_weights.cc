#include "models/gguf_weights.h"

#include "core/error.h"

namespace ingot {

Weight gguf_weight(const Gguf& file, const std::string& name, const std::vector<int64_t>& shape, bool required) {
  if (!required && !file.find(name)) return {};
  const GgufTensor& t = file.tensor(name, shape);
  const bool vector = shape.size() == 1;
  if (vector && t.type != ElementType::kF32)
    bad_input("a vector is stored as " + std::string(element_name(t.type)) + ", F32 is expected", file.name() + ": " + name, "convert the model again");
  return {name, t.type, vector ? 1 : shape[0], shape.back(), t.data, nullptr};
}

int64_t gguf_count(const Gguf& file, const std::string& key, int64_t most, std::optional<int64_t> otherwise) {
  const int64_t value = otherwise ? file.integer(key, *otherwise) : file.integer(key);
  if (value < 1 || value > most)
    bad_input(key + " is " + std::to_string(value) + ", expected 1 to " + std::to_string(most), file.name(), "the model file is damaged; fetch it again");
  return value;
}

}  // namespace ingot
