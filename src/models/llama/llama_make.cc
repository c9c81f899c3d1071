// Llamas that are made rather than loaded.
#include <cmath>

#include "core/random.h"
#include "kernels/dequantize.h"
#include "models/llama/llama.h"

namespace ingot {

std::shared_ptr<Llama> Llama::random(const LlamaConfig& config, uint64_t seed) {
  auto model = std::make_shared<Llama>();
  model->config_ = config;
  Random random(seed);
  auto make = [&](const std::string& name, int64_t rows, int64_t cols, double deviation) {
    auto count = static_cast<size_t>(rows * cols);
    float* values = model->owned_.emplace_back(new float[count]).get();
    float* grad = model->owned_.emplace_back(new float[count]()).get();
    for (int64_t i = 0; i < rows * cols; ++i) values[i] = rows == 1 ? 1.0f : static_cast<float>(random.normal() * deviation);
    return Weight{name, ElementType::kF32, rows, cols, values, grad};
  };
  const double deep = 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers));
  model->embedding_ = make("token_embd.weight", config.vocab, config.width, 0.02);
  for (int64_t i = 0; i < config.layers; ++i) {
    LlamaLayer& layer = model->layers_.emplace_back();
    for (const LayerPart& part : layer_parts(config)) {
      if (!part.required) continue;
      bool residual = part.weight == &LlamaLayer::output || part.weight == &LlamaLayer::down;
      layer.*part.weight = make("blk." + std::to_string(i) + "." + part.gguf, part.rows, part.cols, residual ? deep : 0.02);
    }
  }
  model->output_norm_ = make("output_norm.weight", 1, config.width, 0);
  if (!config.tied) model->output_ = make("output.weight", config.vocab, config.width, 0.02);
  model->set_rope({});
  return model;
}

std::shared_ptr<Llama> Llama::trainable(const Llama& from) {
  auto model = std::make_shared<Llama>(from);  // structure, rotary table and names; every weight is replaced below
  for (Weight* w : model->weights()) {
    auto count = static_cast<size_t>(w->size());
    std::shared_ptr<float[]> data(new float[count]), grad(new float[count]());
    for (int64_t r = 0; r < w->rows; ++r)
      dequantize_row(w->type, static_cast<const char*>(w->data) + r * row_bytes(w->type, w->cols), data.get() + r * w->cols, w->cols);
    w->type = ElementType::kF32;
    w->data = data.get();
    w->grad = grad.get();
    model->owned_.push_back(std::move(data));
    model->owned_.push_back(std::move(grad));
  }
  return model;
}

}  // namespace ingot
