// Where a Llama's weights come from and go to: GGUF, and chance.
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/error.h"
#include "core/random.h"
#include "kernels/dequantize.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

// The layers' tensors in the order that weights() has, by GGUF's names.
struct LayerPart {
  Weight LlamaLayer::*weight;
  const char* name;
  int64_t rows, cols;
  bool required;
};

std::vector<LayerPart> layer_parts(const LlamaConfig& c) {
  const int64_t q = c.heads * c.head_size, kv = c.groups * c.head_size;
  return {{&LlamaLayer::attention_norm, "attn_norm.weight", 1, c.width, true},
          {&LlamaLayer::query, "attn_q.weight", q, c.width, true},
          {&LlamaLayer::key, "attn_k.weight", kv, c.width, true},
          {&LlamaLayer::value, "attn_v.weight", kv, c.width, true},
          {&LlamaLayer::query_bias, "attn_q.bias", 1, q, c.architecture == "qwen2"},
          {&LlamaLayer::key_bias, "attn_k.bias", 1, kv, c.architecture == "qwen2"},
          {&LlamaLayer::value_bias, "attn_v.bias", 1, kv, c.architecture == "qwen2"},
          {&LlamaLayer::query_norm, "attn_q_norm.weight", 1, c.head_size, c.architecture == "qwen3"},
          {&LlamaLayer::key_norm, "attn_k_norm.weight", 1, c.head_size, c.architecture == "qwen3"},
          {&LlamaLayer::output, "attn_output.weight", c.width, q, true},
          {&LlamaLayer::feed_norm, "ffn_norm.weight", 1, c.width, true},
          {&LlamaLayer::gate, "ffn_gate.weight", c.hidden, c.width, true},
          {&LlamaLayer::up, "ffn_up.weight", c.hidden, c.width, true},
          {&LlamaLayer::down, "ffn_down.weight", c.width, c.hidden, true}};
}

Weight take(const Gguf& file, const std::string& name, int64_t rows, int64_t cols, bool required) {
  const GgufTensor* found = file.find(name);
  if (!found && !required) return {};
  std::vector<int64_t> shape = rows == 1 ? std::vector<int64_t>{cols} : std::vector<int64_t>{rows, cols};
  const GgufTensor& t = file.tensor(name, shape);
  if (rows == 1 && t.type != ElementType::kF32)
    bad_input("a vector is stored as " + std::string(element_name(t.type)) + ", F32 is expected", file.name() + ": " + name, "convert the model again");
  return {name, t.type, rows, cols, t.data, nullptr};
}

int64_t positive(const Gguf& file, const std::string& key, int64_t value, int64_t most) {
  if (value < 1 || value > most)
    bad_input(key + " is " + std::to_string(value) + ", expected 1 to " + std::to_string(most), file.name(), "the model file is damaged; fetch it again");
  return value;
}

}  // namespace

std::shared_ptr<Llama> Llama::load(std::shared_ptr<const Gguf> file) {
  const Gguf& f = *file;
  auto model = std::make_shared<Llama>();
  LlamaConfig& c = model->config_;
  c.architecture = f.text("general.architecture");
  if (c.architecture != "llama" && c.architecture != "qwen2" && c.architecture != "qwen3")
    bad_input("the architecture is \"" + c.architecture + "\"; llama, qwen2 and qwen3 are known", f.name(), "use a model of one of these families");
  if (f.integer(c.architecture + ".expert_count", 0) > 0)
    bad_input("the model is a mixture of experts", f.name(), "only dense models are supported");
  auto key = [&](const char* name) { return c.architecture + "." + name; };
  auto read = [&](const char* name, int64_t most) { return positive(f, key(name), f.integer(key(name)), most); };
  c.width = read("embedding_length", 1 << 16);
  c.layers = read("block_count", 1024);
  c.heads = read("attention.head_count", 1024);
  c.groups = positive(f, key("attention.head_count_kv"), f.integer(key("attention.head_count_kv"), c.heads), c.heads);
  c.hidden = read("feed_forward_length", 1 << 20);
  c.context = read("context_length", int64_t{1} << 30);
  if (c.heads % c.groups) bad_input("the heads are no multiple of the key/value heads", f.name(), "the model file is damaged; fetch it again");
  c.head_size = positive(f, key("attention.key_length"), f.integer(key("attention.key_length"), c.width / c.heads), 1024);
  c.rope_dims = positive(f, key("rope.dimension_count"), f.integer(key("rope.dimension_count"), c.head_size), c.head_size);
  if (c.rope_dims % 2) bad_input(key("rope.dimension_count") + " is odd", f.name(), "the model file is damaged; fetch it again");
  c.epsilon = static_cast<float>(f.number(key("attention.layer_norm_rms_epsilon"), 1e-5));
  c.rope_base = static_cast<float>(f.number(key("rope.freq_base"), 10000));
  c.rope_layout = c.architecture == "llama" ? RopeLayout::kPairs : RopeLayout::kHalves;
  c.window = f.integer(key("attention.sliding_window"), 0);
  const GgufTensor* table = f.find("token_embd.weight");
  if (!table || table->shape.size() != 2) bad_input("the tensor token_embd.weight is missing", f.name(), "fetch the model again");
  c.vocab = table->shape[0];
  model->embedding_ = take(f, "token_embd.weight", c.vocab, c.width, true);
  model->output_ = take(f, "output.weight", c.vocab, c.width, false);
  c.tied = !model->output_;
  model->output_norm_ = take(f, "output_norm.weight", 1, c.width, true);
  for (int64_t i = 0; i < c.layers; ++i) {
    LlamaLayer& layer = model->layers_.emplace_back();
    for (const LayerPart& part : layer_parts(c))
      layer.*part.weight = take(f, "blk." + std::to_string(i) + "." + part.name, part.rows, part.cols, part.required);
  }
  model->file_ = file;
  model->set_rope(take(f, "rope_freqs.weight", 1, c.rope_dims / 2, false));
  return model;
}

void Llama::set_rope(const Weight& factors) {
  const int64_t half = config_.rope_dims / 2;
  std::string kind = "none";
  double factor = 1;
  if (file_) {
    kind = file_->text(config_.architecture + ".rope.scaling.type", "none");
    factor = file_->number(config_.architecture + ".rope.scaling.factor", 1);
    if (kind != "none" && kind != "linear" && kind != "yarn")
      bad_input("the rotary scaling \"" + kind + "\" is not known (none, linear, yarn)", file_->name(), "use another model");
  }
  const double base = config_.rope_base, d = static_cast<double>(config_.rope_dims);
  for (int64_t i = 0; i < half; ++i) {
    double frequency = std::pow(base, -2.0 * static_cast<double>(i) / d);
    if (kind == "linear") frequency /= factor;
    if (kind == "yarn") {  // Peng 2023: low frequencies are interpolated, high ones kept, a ramp between
      double original = static_cast<double>(file_->integer(config_.architecture + ".rope.scaling.original_context_length", config_.context));
      auto bound = [&](double turns) { return d * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(base)); };
      double low = std::max(0.0, std::floor(bound(32))), high = std::min(d - 1, std::ceil(bound(1)));
      double ramp = std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
      frequency = frequency / factor * ramp + frequency * (1 - ramp);
    }
    if (factors) frequency /= factors.f32()[i];  // llama3's scaling, as converters store it
    inverse_frequency_.push_back(static_cast<float>(frequency));
  }
  if (kind == "yarn") rope_magnitude_ = static_cast<float>(0.1 * std::log(factor) + 1.0);
}

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
      layer.*part.weight = make("blk." + std::to_string(i) + "." + part.name, part.rows, part.cols, residual ? deep : 0.02);
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

void Llama::write(GgufWriter& out, ElementType type, ElementType table_type) const {
  const LlamaConfig& c = config_;
  const std::string a = c.architecture + ".";
  auto number = [&](const char* key, int64_t value) { out.set(a + key, GgufValue::u32(static_cast<uint32_t>(value))); };
  out.set("general.architecture", GgufValue::text(c.architecture));
  number("embedding_length", c.width);
  number("block_count", c.layers);
  number("attention.head_count", c.heads);
  number("attention.head_count_kv", c.groups);
  number("attention.key_length", c.head_size);
  number("attention.value_length", c.head_size);
  number("feed_forward_length", c.hidden);
  number("context_length", c.context);
  number("rope.dimension_count", c.rope_dims);
  number("vocab_size", c.vocab);
  out.set(a + "attention.layer_norm_rms_epsilon", GgufValue::f32(c.epsilon));
  out.set(a + "rope.freq_base", GgufValue::f32(c.rope_base));
  for (const Weight* w : const_cast<Llama*>(this)->weights()) {
    ElementType to = w->rows == 1 ? ElementType::kF32 : w == &embedding_ ? table_type : type;
    if (w->cols % block_length(to))
      bad_input("rows of " + std::to_string(w->cols) + " do not fill blocks of " + std::string(element_name(to)), w->name, "choose a type with smaller blocks, such as Q8_0 or F16");
    std::vector<float> row(static_cast<size_t>(w->cols));
    std::string bytes(static_cast<size_t>(w->rows * row_bytes(to, w->cols)), '\0');
    for (int64_t r = 0; r < w->rows; ++r) {
      dequantize_row(w->type, static_cast<const char*>(w->data) + r * row_bytes(w->type, w->cols), row.data(), w->cols);
      char* at = bytes.data() + r * row_bytes(to, w->cols);
      if (to == ElementType::kF32) std::memcpy(at, row.data(), row.size() * sizeof(float));
      else quantize_row(to, row.data(), at, w->cols);
    }
    out.add(w->name, w->rows == 1 ? std::vector<int64_t>{w->cols} : std::vector<int64_t>{w->rows, w->cols}, to, std::move(bytes));
  }
}

}  // namespace ingot
