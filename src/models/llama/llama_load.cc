// Where a Llama's weights come from: a GGUF file, or a Hugging Face folder.
#include <cmath>

#include "core/error.h"
#include "formats/safetensors.h"
#include "models/decoder_family.h"
#include "models/gguf_weights.h"
#include "models/hf_weights.h"
#include "models/llama/llama.h"

namespace ingot {

std::vector<LayerPart> layer_parts(const LlamaConfig& c) {
  const int64_t q = c.heads * c.head_size, kv = c.groups * c.head_size;
  // With norms on both sides, a folder's "post_attention_layernorm" is the one after attention, without them the one before the rest.
  const char* before = c.block_norms ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight";
  return {{&LlamaLayer::attention_norm, "attn_norm.weight", "input_layernorm.weight", 1, c.width, true},
          {&LlamaLayer::query, "attn_q.weight", "self_attn.q_proj.weight", q, c.width, true},
          {&LlamaLayer::key, "attn_k.weight", "self_attn.k_proj.weight", kv, c.width, true},
          {&LlamaLayer::value, "attn_v.weight", "self_attn.v_proj.weight", kv, c.width, true},
          {&LlamaLayer::query_bias, "attn_q.bias", "self_attn.q_proj.bias", 1, q, c.attention_bias},
          {&LlamaLayer::key_bias, "attn_k.bias", "self_attn.k_proj.bias", 1, kv, c.attention_bias},
          {&LlamaLayer::value_bias, "attn_v.bias", "self_attn.v_proj.bias", 1, kv, c.attention_bias},
          {&LlamaLayer::query_norm, "attn_q_norm.weight", "self_attn.q_norm.weight", 1, c.head_size, c.head_norms},
          {&LlamaLayer::key_norm, "attn_k_norm.weight", "self_attn.k_norm.weight", 1, c.head_size, c.head_norms},
          {&LlamaLayer::output, "attn_output.weight", "self_attn.o_proj.weight", c.width, q, true},
          {&LlamaLayer::output_bias, "attn_output.bias", "self_attn.o_proj.bias", 1, c.width, c.output_bias},
          {&LlamaLayer::attention_end_norm, "post_attention_norm.weight", "post_attention_layernorm.weight", 1, c.width, c.block_norms},
          {&LlamaLayer::feed_norm, "ffn_norm.weight", before, 1, c.width, true},
          {&LlamaLayer::gate, "ffn_gate.weight", "mlp.gate_proj.weight", c.hidden, c.width, true},
          {&LlamaLayer::up, "ffn_up.weight", "mlp.up_proj.weight", c.hidden, c.width, true},
          {&LlamaLayer::down, "ffn_down.weight", "mlp.down_proj.weight", c.width, c.hidden, true},
          {&LlamaLayer::feed_end_norm, "post_ffw_norm.weight", "post_feedforward_layernorm.weight", 1, c.width, c.block_norms}};
}

namespace {

const char kDamaged[] = "the model file is damaged; fetch it again";

// A tensor with one row has one dimension.
Weight take(const Gguf& file, const std::string& name, int64_t rows, int64_t cols, bool required) {
  return gguf_weight(file, name, rows == 1 ? std::vector<int64_t>{cols} : std::vector<int64_t>{rows, cols}, required);
}

// What every family's config must satisfy, whichever file it came from.
void check(const LlamaConfig& c, const std::string& where) {
  if (c.heads % c.groups)
    bad_input("the " + std::to_string(c.heads) + " heads are no multiple of the " + std::to_string(c.groups) + " key/value heads", where, kDamaged);
  if (c.rope_dims % 2) bad_input("an odd number of elements is rotated: " + std::to_string(c.rope_dims), where, kDamaged);
  if (!(c.rope_base > 1) || !(c.epsilon >= 0) || (c.local_rope_base != 0 && !(c.local_rope_base > 1)))
    bad_input("the rotary base or the norms' epsilon makes no sense: " + std::to_string(c.rope_base) + ", " + std::to_string(c.epsilon), where, kDamaged);
}

LlamaConfig read_config(const Gguf& f) {
  const DecoderFamily& family = family_of(f);
  LlamaConfig c;
  c.architecture = family.gguf;
  if (f.integer(c.architecture + ".expert_count", 0) > 0)
    bad_input("the model is a mixture of experts", f.name(), "only dense models are supported");
  auto key = [&](const char* name) { return c.architecture + "." + name; };
  auto read = [&](const char* name, int64_t most) { return gguf_count(f, key(name), most); };
  c.width = read("embedding_length", 1 << 16);
  c.layers = read("block_count", 1024);
  c.heads = read("attention.head_count", 1024);
  c.groups = gguf_count(f, key("attention.head_count_kv"), c.heads, c.heads);
  c.hidden = read("feed_forward_length", 1 << 20);
  c.context = read("context_length", int64_t{1} << 30);
  c.head_size = gguf_count(f, key("attention.key_length"), 1024, c.width / c.heads);
  c.rope_dims = gguf_count(f, key("rope.dimension_count"), c.head_size, c.head_size);
  c.epsilon = static_cast<float>(f.number(key("attention.layer_norm_rms_epsilon"), 1e-5));
  c.rope_base = static_cast<float>(f.number(key("rope.freq_base"), 10000));
  c.rope_scaling = RopeScaling::of(f, c.architecture, c.context);
  if (f.integer(key("attention.sliding_window"), 0)) c.window = gguf_count(f, key("attention.sliding_window"), 1 << 30);
  family.read_gguf(f, c);
  c.rope_layout = c.gguf_pairs ? RopeLayout::kPairs : RopeLayout::kHalves;
  check(c, f.name());
  return c;
}

LlamaConfig read_config(const HfConfig& given) {
  // A model of text and images keeps its language part's keys together.
  const HfConfig f = given.object("text_config").value_or(given);
  const DecoderFamily& family = family_of(f.has("model_type") ? f : given);
  LlamaConfig c = family.defaults;
  c.architecture = family.gguf;
  c.rope_layout = RopeLayout::kHalves;
  if (f.integer("num_experts", f.integer("num_local_experts", 0)) > 0) f.refuse("the model is a mixture of experts", "only dense models are supported");
  const std::string activation = f.text("hidden_activation", f.text("hidden_act", c.activation == Activation::kSilu ? "silu" : "gelu_pytorch_tanh"));
  if (activation != (c.activation == Activation::kSilu ? "silu" : "gelu_pytorch_tanh")) f.refuse("the activation is \"" + activation + "\", which this family does not have");
  auto read = [&](const char* key, int64_t most, int64_t otherwise) { return otherwise ? f.count(key, most, otherwise) : f.count(key, most); };
  c.width = read("hidden_size", 1 << 16, c.width);
  c.layers = read("num_hidden_layers", 1024, c.layers);
  c.heads = read("num_attention_heads", 1024, c.heads);
  c.groups = f.count("num_key_value_heads", c.heads, c.groups ? c.groups : c.heads);
  c.hidden = read("intermediate_size", 1 << 20, c.hidden);
  c.context = read("max_position_embeddings", int64_t{1} << 30, c.context);
  c.vocab = read("vocab_size", 1 << 24, c.vocab);
  c.head_size = f.count("head_dim", 1024, c.head_size ? c.head_size : c.width / c.heads);
  c.epsilon = static_cast<float>(f.number("rms_norm_eps", c.epsilon));
  c.tied = f.boolean("tie_word_embeddings", given.boolean("tie_word_embeddings", c.tied));
  // Newer files keep base and scaling together, for each kind of layer where there are two.
  double base = f.number("rope_theta", c.rope_base), share = f.number("partial_rotary_factor", 1);
  if (auto rope = f.object("rope_parameters")) {
    const HfConfig full = rope->object("full_attention").value_or(*rope);
    base = full.number("rope_theta", base);
    share = full.number("partial_rotary_factor", share);
    c.rope_scaling = RopeScaling::of(full, c.context);
  } else if (auto scaling = f.object("rope_scaling")) {
    c.rope_scaling = RopeScaling::of(*scaling, c.context);
  }
  c.rope_base = static_cast<float>(base);
  c.rope_dims = static_cast<int64_t>(static_cast<double>(c.head_size) * share);
  if (c.rope_dims < 2 || c.rope_dims > c.head_size) f.refuse("partial_rotary_factor is " + std::to_string(share));
  family.read_hf(f, c);
  check(c, f.name());
  return c;
}

}  // namespace

std::vector<bool> read_layer_types(const HfConfig& f, int64_t layers, const std::function<bool(int64_t)>& otherwise) {
  std::vector<bool> local;
  const auto types = f.texts("layer_types");
  if (!types.empty() && static_cast<int64_t>(types.size()) != layers)
    f.refuse("layer_types names " + std::to_string(types.size()) + " layers, num_hidden_layers says " + std::to_string(layers), kDamaged);
  for (const std::string& type : types) {
    if (type != "sliding_attention" && type != "full_attention") f.refuse("layer_types holds \"" + type + "\", expected sliding_attention or full_attention");
    local.push_back(type == "sliding_attention");
  }
  for (int64_t i = static_cast<int64_t>(local.size()); i < layers; ++i) local.push_back(otherwise(i));
  return local;
}

std::shared_ptr<Llama> Llama::load(std::shared_ptr<const Gguf> file) {
  const Gguf& f = *file;
  auto model = std::make_shared<Llama>();
  LlamaConfig& c = model->config_ = read_config(f);
  const GgufTensor* table = f.find("token_embd.weight");
  if (!table || table->shape.size() != 2) bad_input("the tensor token_embd.weight is missing", f.name(), "fetch the model again");
  c.vocab = table->shape[0];
  model->embedding_ = take(f, "token_embd.weight", c.vocab, c.width, true);
  model->output_ = take(f, "output.weight", c.vocab, c.width, false);
  c.tied = !model->output_;
  model->output_norm_ = take(f, "output_norm.weight", 1, c.width, true);
  const auto parts = layer_parts(c);
  for (int64_t i = 0; i < c.layers; ++i) {
    LlamaLayer& layer = model->layers_.emplace_back();
    for (const LayerPart& part : parts)
      layer.*part.weight = take(f, "blk." + std::to_string(i) + "." + part.gguf, part.rows, part.cols, part.required);
  }
  model->file_ = file;
  model->set_rope(take(f, "rope_freqs.weight", 1, c.rope_dims / 2, false));
  return model;
}

std::shared_ptr<Llama> Llama::load(const HfConfig& file, std::shared_ptr<const Safetensors> folder) {
  auto model = std::make_shared<Llama>();
  LlamaConfig& c = model->config_ = read_config(file);
  model->folder_ = folder;
  // Where the trunk lies depends on what stands around it: a head, an image tower, nothing.
  std::string prefix = "model.";
  for (const char* other : {"", "model.language_model.", "language_model.model."})
    if (folder->find(std::string(other) + "embed_tokens.weight")) prefix = other;
  HfWeights weights(std::move(folder));
  model->embedding_ = weights.matrix(prefix + "embed_tokens.weight", c.vocab, c.width);
  model->embedding_.name = "token_embd.weight";
  const std::string head = weights.files()->find("language_model.lm_head.weight") ? "language_model.lm_head.weight" : "lm_head.weight";
  if (!c.tied) model->output_ = weights.matrix(head, c.vocab, c.width, false);
  if (model->output_) model->output_.name = "output.weight";
  c.tied = !model->output_;
  model->output_norm_ = weights.vector(prefix + "norm.weight", c.width, true, c.norm_plus);
  model->output_norm_.name = "output_norm.weight";
  const auto parts = layer_parts(c);
  for (int64_t i = 0; i < c.layers; ++i) {
    LlamaLayer& layer = model->layers_.emplace_back();
    const std::string at = std::to_string(i) + ".";
    for (const LayerPart& part : parts) {
      const std::string name = prefix + "layers." + at + part.folder;
      const bool norm = std::string_view(part.gguf).ends_with("norm.weight");
      if (part.gguf == std::string_view("post_attention_norm.weight") && !part.required) continue;  // without these its name means another
      Weight& weight = layer.*part.weight;
      weight = part.rows == 1 ? weights.vector(name, part.cols, part.required, norm ? c.norm_plus : 0) : weights.matrix(name, part.rows, part.cols, part.required);
      if (weight) weight.name = "blk." + at + part.gguf;
    }
  }
  model->owned_ = std::move(weights).owned();
  model->set_rope({});
  return model;
}

void Llama::release_pages() const {
  if (file_) file_->release_pages();
  if (folder_) folder_->release_pages();
}

void Llama::set_rope(const Weight& factors) {
  inverse_frequency_ = config_.rope_scaling.inverse_frequencies(config_.rope_base, config_.rope_dims);
  if (factors)  // llama3's scaling, as GGUF's converters store it
    for (size_t i = 0; i < inverse_frequency_.size(); ++i) inverse_frequency_[i] /= factors.f32()[i];
  if (config_.local_rope_base > 0) local_inverse_frequency_ = RopeScaling{}.inverse_frequencies(config_.local_rope_base, config_.rope_dims);
  rope_magnitude_ = config_.rope_scaling.magnitude();
}

}  // namespace ingot
