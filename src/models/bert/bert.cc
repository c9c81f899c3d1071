#include "models/bert/bert.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/sha256.h"
#include "kernels/dequantize.h"
#include "models/gguf_weights.h"
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
  model->fill([&](const std::string&, const std::string& folder, const std::vector<int64_t>& shape) {
    return shape.size() == 1 ? w.vector(prefix + folder, shape[0]) : w.matrix(prefix + folder, shape[0], shape[1]);
  });
  model->files_ = w.files();
  model->owned_ = std::move(w).owned();
  return model;
}

std::shared_ptr<Bert> Bert::load(std::shared_ptr<const Gguf> file) {
  const Gguf& f = *file;
  auto model = std::make_shared<Bert>();
  BertConfig& c = model->config_;
  if (f.text("general.architecture") != kBertArchitecture)
    bad_input("the architecture is \"" + f.text("general.architecture") + "\", expected bert", f.name(), "use a BERT, RoBERTa or DistilBERT encoder");
  if (f.boolean("bert.attention.causal", false)) bad_input("attention is causal, expected to see the whole text", f.name(), "use an encoder");
  const GgufTensor *words = f.find("token_embd.weight"), *types = f.find("token_types.weight");
  c.width = gguf_count(f, "bert.embedding_length", 1 << 16);
  c.layers = gguf_count(f, "bert.block_count", 1024);
  c.heads = gguf_count(f, "bert.attention.head_count", 1024);
  c.hidden = gguf_count(f, "bert.feed_forward_length", 1 << 20);
  c.positions = gguf_count(f, "bert.context_length", 1 << 24);
  c.epsilon = static_cast<float>(f.number("bert.attention.layer_norm_epsilon", 1e-12));
  c.vocab = words ? words->shape[0] : 0;
  c.types = types ? types->shape[0] : 0;
  if (c.width % c.heads)
    bad_input("the width " + std::to_string(c.width) + " is no multiple of the " + std::to_string(c.heads) + " heads", f.name(), "the model file is damaged; fetch it again");
  model->fill([&](const std::string& gguf, const std::string&, const std::vector<int64_t>& shape) { return gguf_weight(f, gguf, shape); });
  model->gguf_ = std::move(file);
  return model;
}

std::vector<BertPart> bert_parts(const BertConfig& c) {
  return {{&BertLayer::query, &BertLayer::query_bias, "attn_q", "attention.self.query", {c.width, c.width}},
          {&BertLayer::key, &BertLayer::key_bias, "attn_k", "attention.self.key", {c.width, c.width}},
          {&BertLayer::value, &BertLayer::value_bias, "attn_v", "attention.self.value", {c.width, c.width}},
          {&BertLayer::output, &BertLayer::output_bias, "attn_output", "attention.output.dense", {c.width, c.width}},
          {&BertLayer::attention_norm, &BertLayer::attention_norm_bias, "attn_output_norm", "attention.output.LayerNorm", {c.width}},
          {&BertLayer::up, &BertLayer::up_bias, "ffn_up", "intermediate.dense", {c.hidden, c.width}},
          {&BertLayer::down, &BertLayer::down_bias, "ffn_down", "output.dense", {c.width, c.hidden}},
          {&BertLayer::norm, &BertLayer::norm_bias, "layer_output_norm", "output.LayerNorm", {c.width}}};
}

void Bert::fill(const Take& take) {
  const BertConfig& c = config_;
  words_ = take("token_embd.weight", "embeddings.word_embeddings.weight", {c.vocab, c.width});
  positions_ = take("position_embd.weight", "embeddings.position_embeddings.weight", {c.positions, c.width});
  if (c.types) types_ = take("token_types.weight", "embeddings.token_type_embeddings.weight", {c.types, c.width});
  norm_ = take("token_embd_norm.weight", "embeddings.LayerNorm.weight", {c.width});
  norm_bias_ = take("token_embd_norm.bias", "embeddings.LayerNorm.bias", {c.width});
  const auto parts = bert_parts(c);
  for (int64_t i = 0; i < c.layers; ++i) {
    BertLayer& layer = layers_.emplace_back();
    const std::string gguf = "blk." + std::to_string(i) + ".", folder = "encoder.layer." + std::to_string(i) + ".";
    for (const BertPart& part : parts) {
      layer.*part.weight = take(gguf + part.gguf + ".weight", folder + part.folder + ".weight", part.shape);
      layer.*part.bias = take(gguf + part.gguf + ".bias", folder + part.folder + ".bias", {part.shape[0]});
    }
  }
}

void Bert::write(GgufWriter& out, int64_t context) const {
  const BertConfig& c = config_;
  context = std::min(context, c.context());
  out.set("general.architecture", GgufValue::text(std::string(kBertArchitecture)));
  auto number = [&](const char* key, int64_t value) { out.set(key, GgufValue::u32(static_cast<uint32_t>(value))); };
  number("bert.embedding_length", c.width);
  number("bert.block_count", c.layers);
  number("bert.attention.head_count", c.heads);
  number("bert.feed_forward_length", c.hidden);
  number("bert.context_length", context);
  number("tokenizer.ggml.token_type_count", std::max<int64_t>(c.types, 1));
  out.set("bert.attention.layer_norm_epsilon", GgufValue::f32(c.epsilon));
  out.set("bert.attention.causal", GgufValue::boolean(false));
  const auto matrix = [&](const std::string& name, const Weight& w, int64_t from, int64_t rows) {
    out.add(name, {rows, w.cols}, w.type, static_cast<const std::byte*>(w.data) + from * row_bytes(w.type, w.cols));
  };
  const auto vector = [&](const std::string& name, const Weight& w) { out.add(name, {w.cols}, w.type, w.data); };
  matrix("token_embd.weight", words_, 0, c.vocab);
  matrix("position_embd.weight", positions_, c.first_position, context);
  if (types_) matrix("token_types.weight", types_, 0, c.types);
  vector("token_embd_norm.weight", norm_);
  vector("token_embd_norm.bias", norm_bias_);
  const auto parts = bert_parts(c);
  for (int64_t i = 0; i < c.layers; ++i) {
    const BertLayer& layer = layers_[static_cast<size_t>(i)];
    for (const BertPart& part : parts) {
      const std::string name = "blk." + std::to_string(i) + "." + part.gguf;
      if (part.shape.size() == 1) vector(name + ".weight", layer.*part.weight);
      else matrix(name + ".weight", layer.*part.weight, 0, part.shape[0]);
      vector(name + ".bias", layer.*part.bias);
    }
  }
}

void Bert::release_pages() const {
  if (files_) files_->release_pages();
  if (gguf_) gguf_->release_pages();
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
  if (gguf_)
    for (const GgufTensor& t : gguf_->tensors()) all += t.name + hex(sha256({t.data, static_cast<size_t>(t.bytes)}));
  else
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
  Tensor x = embed(c, words_, ids);
  if (types_) x = add(c, x, embed(c, types_, types));
  x = add(c, x, embed(c, positions_, positions));
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
