#include "models/bert/bert.h"

#include <cmath>

#include "core/error.h"
#include "core/sha256.h"
#include "kernels/dequantize.h"
#include "ops/encoder_ops.h"
#include "ops/ops.h"

namespace ingot {

bool is_bert(const HfConfig& config) {
  const std::string type = config.text("model_type", "");
  return type == "bert" || type == "roberta" || type == "xlm-roberta" || type == "camembert";
}

std::shared_ptr<Bert> Bert::load(const HfConfig& file, std::shared_ptr<const Safetensors> weights) {
  auto model = std::make_shared<Bert>();
  BertConfig& c = model->config_;
  if (!is_bert(file)) file.refuse("the model_type is \"" + file.text("model_type", "") + "\", expected bert or roberta");
  if (file.text("hidden_act", "gelu") != "gelu") file.refuse("hidden_act is \"" + file.text("hidden_act", "gelu") + "\", expected \"gelu\"");
  if (file.text("position_embedding_type", "absolute") != "absolute") file.refuse("the positions are " + file.text("position_embedding_type", "") + ", expected absolute");
  if (file.boolean("is_decoder", false)) file.refuse("the model is a decoder, expected an encoder");
  c.vocab = file.count("vocab_size", 1 << 24);
  c.width = file.count("hidden_size", 1 << 16);
  c.layers = file.count("num_hidden_layers", 1024);
  c.heads = file.count("num_attention_heads", 1024);
  c.hidden = file.count("intermediate_size", 1 << 20);
  c.positions = file.count("max_position_embeddings", 1 << 24);
  c.types = file.count("type_vocab_size", 1 << 16, 2);
  c.epsilon = static_cast<float>(file.number("layer_norm_eps", 1e-12));
  if (file.text("model_type", "") != "bert") c.first_position = file.integer("pad_token_id", 1) + 1;
  if (c.first_position < 0 || c.first_position >= c.positions) file.refuse("pad_token_id leaves no positions");
  if (c.width % c.heads) file.refuse("hidden_size " + std::to_string(c.width) + " is no multiple of the " + std::to_string(c.heads) + " heads");

  // A model with a head on top has its name in front of everything.
  std::string prefix;
  for (const char* name : {"bert.", "roberta."})
    if (weights->find(std::string(name) + "embeddings.word_embeddings.weight")) prefix = name;
  HfWeights w(std::move(weights));
  auto vector = [&](const std::string& name, int64_t n) { return w.vector(prefix + name, n); };
  auto matrix = [&](const std::string& name, int64_t rows, int64_t cols) { return w.matrix(prefix + name, rows, cols); };
  model->words_ = matrix("embeddings.word_embeddings.weight", c.vocab, c.width);
  model->positions_ = matrix("embeddings.position_embeddings.weight", c.positions, c.width);
  model->types_ = matrix("embeddings.token_type_embeddings.weight", c.types, c.width);
  model->norm_ = vector("embeddings.LayerNorm.weight", c.width);
  model->norm_bias_ = vector("embeddings.LayerNorm.bias", c.width);
  for (int64_t i = 0; i < c.layers; ++i) {
    BertLayer& l = model->layers_.emplace_back();
    const std::string at = "encoder.layer." + std::to_string(i) + ".";
    auto dense = [&](const char* name, int64_t out, int64_t in, Weight& weight, Weight& bias) {
      weight = matrix(at + name + ".weight", out, in);
      bias = vector(at + name + ".bias", out);
    };
    dense("attention.self.query", c.width, c.width, l.query, l.query_bias);
    dense("attention.self.key", c.width, c.width, l.key, l.key_bias);
    dense("attention.self.value", c.width, c.width, l.value, l.value_bias);
    dense("attention.output.dense", c.width, c.width, l.output, l.output_bias);
    dense("intermediate.dense", c.hidden, c.width, l.up, l.up_bias);
    dense("output.dense", c.width, c.hidden, l.down, l.down_bias);
    l.attention_norm = vector(at + "attention.output.LayerNorm.weight", c.width);
    l.attention_norm_bias = vector(at + "attention.output.LayerNorm.bias", c.width);
    l.norm = vector(at + "output.LayerNorm.weight", c.width);
    l.norm_bias = vector(at + "output.LayerNorm.bias", c.width);
  }
  model->files_ = w.files();
  model->owned_ = std::move(w).owned();
  return model;
}

std::vector<Weight*> Bert::matrices() {
  std::vector<Weight*> all;
  for (BertLayer& l : layers_) all.insert(all.end(), {&l.query, &l.key, &l.value, &l.output, &l.up, &l.down});
  return all;
}

void Bert::quantise(ElementType type) {
  std::vector<float> row;
  for (Weight* w : matrices()) {
    if (w->cols % block_length(type)) continue;
    const int64_t from = row_bytes(w->type, w->cols), to = row_bytes(type, w->cols);
    auto bytes = std::make_shared<std::byte[]>(static_cast<size_t>(w->rows * to));
    row.resize(static_cast<size_t>(w->cols));
    for (int64_t r = 0; r < w->rows; ++r) {
      dequantize_row(w->type, static_cast<const std::byte*>(w->data) + r * from, row.data(), w->cols);
      quantize_row(type, row.data(), bytes.get() + r * to, w->cols);
    }
    w->type = type, w->data = bytes.get();
    quantised_.push_back(std::move(bytes));
  }
  stored_ = element_name(type);
}

std::string Bert::fingerprint() const {
  std::string all = stored_;
  for (const SafetensorsTensor& t : files_->tensors()) all += t.name + hex(sha256({t.data, static_cast<size_t>(t.bytes)}));
  return hex(sha256(std::string_view(all)));
}

Tensor Bert::hidden(const Context& c, std::span<const int32_t> ids, std::span<const int32_t> lengths) const {
  std::vector<int32_t> positions, types(ids.size(), 0);
  positions.reserve(ids.size());
  for (int32_t length : lengths) {
    if (length > config_.context())
      bad_input("a sequence has " + std::to_string(length) + " tokens, the encoder holds " + std::to_string(config_.context()), "encoder", "split the text");
    for (int32_t i = 0; i < length; ++i) positions.push_back(static_cast<int32_t>(config_.first_position) + i);
  }
  for (int32_t id : ids)
    if (id < 0 || id >= config_.vocab)
      bad_input("token " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(config_.vocab), "encoder",
                "use the tokenizer that came with this model");
  const int64_t head_size = config_.width / config_.heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_size)), eps = config_.epsilon;
  Tensor x = add(c, add(c, embed(c, words_, ids), embed(c, types_, types)), embed(c, positions_, positions));
  x = layer_norm(c, x, norm_, norm_bias_, eps);
  for (const BertLayer& l : layers_) {
    auto [q, k, v] = linears(c, x, {{l.query, l.query_bias}, {l.key, l.key_bias}, {l.value, l.value_bias}});
    Tensor a = attend_whole(c, q, k, v, head_size, lengths, scale);
    x = layer_norm(c, add(c, linear(c, a, l.output, l.output_bias), x), l.attention_norm, l.attention_norm_bias, eps);
    Tensor h = linear(c, x, l.up, l.up_bias);
    gelu(c, h);
    x = layer_norm(c, add(c, linear(c, h, l.down, l.down_bias), x), l.norm, l.norm_bias, eps);
  }
  return x;
}

}  // namespace ingot
