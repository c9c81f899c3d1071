// Adapters as PEFT and llama.cpp save them.
#include <re2/re2.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/error.h"
#include "core/files.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "formats/shape_text.h"
#include "kernels/dequantize.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

struct TargetName {
  const char *peft, *gguf;
};
constexpr TargetName kNames[kLoraTargets] = {{"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"}, {"self_attn.o_proj", "attn_output"},
                                             {"mlp.gate_proj", "ffn_gate"},   {"mlp.up_proj", "ffn_up"},      {"mlp.down_proj", "ffn_down"}};
constexpr int64_t kMaxRank = 4096;
constexpr const char* kElsewhere = "the tensor is not of a matrix that adapters are applied to here (attention's four, the feed-forward's three, embedding and head)";
constexpr auto kEmbedding = static_cast<int>(LoraTarget::kEmbedding), kHead = static_cast<int>(LoraTarget::kHead);

std::vector<float> transposed(const std::vector<float>& values, int64_t rows, int64_t cols) {
  std::vector<float> out(values.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) out[static_cast<size_t>(c * rows + r)] = values[static_cast<size_t>(r * cols + c)];
  return out;
}

template <class AnyTensor>
void expect_shape(const AnyTensor& t, const std::vector<int64_t>& shape, const std::string& file) {
  if (std::vector<int64_t>(t.shape.begin(), t.shape.end()) != shape)
    bad_input("the tensor has shape " + shape_text(t.shape) + ", with this base it would be " + shape_text(shape), file + ": " + t.name, "use the base that the adapter was trained on");
}

// The number in PEFT's pattern whose key matches the module's name, or what holds for the others.
double by_pattern(const nlohmann::json& config, const char* key, const std::string& module, double otherwise) {
  if (!config.contains(key) || !config[key].is_object()) return otherwise;
  for (const auto& [pattern, value] : config[key].items()) {
    RE2 matcher("(.*\\.)?(" + pattern + ")", RE2::Quiet);
    if (matcher.ok() && value.is_number() && RE2::FullMatch(module, matcher)) return value.get<double>();
  }
  return otherwise;
}

}  // namespace

std::shared_ptr<const LoraAdapter> LoraAdapter::open(const std::filesystem::path& path, const Llama& base) {
  std::shared_ptr<LoraAdapter> adapter(new LoraAdapter);
  adapter->name_ = path.string();
  adapter->layers_.resize(static_cast<size_t>(base.config().layers));
  if (std::filesystem::is_directory(path)) {
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
      if (!std::filesystem::exists(path / name)) bad_input(std::string("the folder holds no LoRA adapter: ") + name + " is missing", path.string(), "give a folder that PEFT saved as safetensors, or a GGUF file");
    adapter->read_peft(read_file(path / "adapter_config.json"), (path / "adapter_config.json").string(), *Safetensors::open(path / "adapter_model.safetensors"), base);
  } else {
    if (!MappedFile(path).text().starts_with("GGUF")) bad_input("the file is no LoRA adapter", path.string(), "give a PEFT folder or a GGUF file of type adapter");
    adapter->read_gguf(*Gguf::open(path), base);
  }
  adapter->gather();
  return adapter;
}

std::shared_ptr<const LoraAdapter> LoraAdapter::read(std::string_view config_json, std::span<const std::byte> safetensors, const std::string& where, const Llama& base) {
  std::shared_ptr<LoraAdapter> adapter(new LoraAdapter);
  adapter->name_ = where;
  adapter->layers_.resize(static_cast<size_t>(base.config().layers));
  adapter->read_peft(config_json, where + ": adapter_config.json", *Safetensors::parse(safetensors, where + ": adapter_model.safetensors"), base);
  adapter->gather();
  return adapter;
}

void LoraAdapter::read_peft(std::string_view config_json, const std::string& where, const Safetensors& file, const Llama& base) {
  auto config = nlohmann::json::parse(config_json, nullptr, false);
  if (!config.is_object()) bad_input("it is no JSON object", where, "save the adapter again");
  auto text = [&](const char* key, const char* otherwise) { return config.contains(key) && config[key].is_string() ? config[key].get<std::string>() : std::string(otherwise); };
  auto flag = [&](const char* key) { return config.contains(key) && config[key] == true; };
  auto number = [&](const char* key, double otherwise) { return config.contains(key) && config[key].is_number() ? config[key].get<double>() : otherwise; };
  if (text("peft_type", "LORA") != "LORA") bad_input("the adapter is of type " + text("peft_type", "") + "; LORA is supported", where, "train a LoRA adapter");
  if (text("bias", "none") != "none") bad_input("\"bias\": \"" + text("bias", "") + "\" is not supported", where, "train it with bias none");
  for (const char* key : {"fan_in_fan_out", "lora_bias", "use_qalora"})
    if (flag(key)) bad_input("\"" + std::string(key) + "\" is not supported", where, "train the adapter without it");
  for (const char* key : {"modules_to_save", "trainable_token_indices", "layer_replication", "alora_invocation_tokens", "megatron_config", "target_parameters", "arrow_config", "kasa_config", "monteclora_config", "velora_config", "use_bdlora"})
    if (config.contains(key) && !config[key].is_null() && !config[key].empty()) bad_input("\"" + std::string(key) + "\" is not supported", where, "train the adapter without it");
  const bool root = flag("use_rslora"), dora = flag("use_dora");
  const double alpha = number("lora_alpha", 8);

  static const RE2 kKey(R"((?:base_model\.model\.)?((?:model\.)*layers\.(\d+)\.(\w+\.\w+))\.lora_(A|B|magnitude_vector)(?:\.default)?(?:\.weight)?)");
  static const RE2 kBeside(R"((?:base_model\.model\.)?((?:model\.)*(embed_tokens|lm_head))\.lora_(?:embedding_)?(A|B|magnitude_vector)(?:\.default)?(?:\.weight)?)");
  static const RE2 kCopy(R"((?:base_model\.model\.)?(?:model\.)*(embed_tokens|lm_head)\.base_layer\.weight)");
  std::map<std::pair<int64_t, int>, std::map<std::string, const SafetensorsTensor*>> found;
  std::map<std::pair<int64_t, int>, std::string> modules;
  for (const SafetensorsTensor& t : file.tensors()) {
    std::string module, part, kind;
    int64_t layer = 0;
    int target = -1;
    if (RE2::FullMatch(t.name, kKey, &module, &layer, &part, &kind))
      for (int i = 0; i < kLoraTargets; ++i)
        if (part == kNames[i].peft) target = i;
    if (RE2::FullMatch(t.name, kCopy, &part)) {  // PEFT saves the base's own table beside what was learnt of it
      expect_shape(t, {base.config().vocab, base.config().width}, file.name());
      continue;
    }
    if (RE2::FullMatch(t.name, kBeside, &module, &part, &kind)) target = part == "lm_head" ? kHead : kEmbedding;
    if (target < 0) bad_input(kElsewhere, file.name() + ": " + t.name, "train the adapter on those");
    if (layer >= base.config().layers)
      bad_input("the tensor is of layer " + std::to_string(layer) + ", the base has " + std::to_string(base.config().layers), file.name() + ": " + t.name, "use the base that the adapter was trained on");
    found[{layer, target}][kind] = &t;
    modules[{layer, target}] = module;
  }
  if (found.empty()) bad_input("it holds no LoRA matrices", file.name(), "save the adapter again");
  for (auto& [place, parts] : found) {
    const auto [layer, target] = place;
    const std::string& module = modules[place];
    if (!parts.contains("A") || !parts.contains("B")) bad_input("one of lora_A and lora_B is missing", file.name() + ": " + module, "save the adapter again");
    const Weight& w = matrix_of(base, layer, static_cast<LoraTarget>(target));
    const auto& shape = parts["A"]->shape;
    const int64_t rank = shape.empty() ? 0 : shape[0];
    if (rank < 1 || rank > kMaxRank) bad_input("the rank is " + std::to_string(rank) + ", expected 1 to " + std::to_string(kMaxRank), file.name() + ": " + parts["A"]->name, "save the adapter again");
    const double declared = by_pattern(config, "rank_pattern", module, number("r", static_cast<double>(rank)));
    if (declared != static_cast<double>(rank))
      bad_input("the rank is " + std::to_string(rank) + ", adapter_config.json says " + nlohmann::json(declared).dump(), file.name() + ": " + parts["A"]->name, "save the adapter again");
    const bool looked_up = target == kEmbedding;  // A's columns are then tokens, B's rows the state
    auto values = [&](const char* side, std::vector<int64_t> wanted) {
      expect_shape(*parts[side], wanted, file.name());
      return file.floats(parts[side]->name, wanted);
    };
    auto a = values("A", {rank, looked_up ? w.rows : w.cols}), b = values("B", {looked_up ? w.cols : w.rows, rank});
    if (looked_up) std::tie(a, b) = std::pair(transposed(b, w.cols, rank), transposed(a, rank, w.rows));
    std::vector<float> magnitude;
    if (dora && looked_up) bad_input("DoRA of the embedding is not supported", file.name() + ": " + module, "train the adapter without it");
    if (dora) {
      if (!parts.contains("magnitude_vector")) bad_input("lora_magnitude_vector is missing", file.name() + ": " + module, "save the adapter again");
      magnitude = file.floats(parts["magnitude_vector"]->name, std::vector<int64_t>{w.rows});
    }
    double scale = by_pattern(config, "alpha_pattern", module, alpha) / (root ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
    set(base, layer, static_cast<LoraTarget>(target), std::move(a), std::move(b), rank, static_cast<float>(scale), RopeLayout::kHalves, std::move(magnitude), parts["A"]->dtype == "F16" && parts["B"]->dtype == "F16", file.name() + ": " + module);
  }
}

void LoraAdapter::read_gguf(const Gguf& file, const Llama& base) {
  if (file.text("general.type", "") != "adapter" || file.text("adapter.type", "") != "lora")
    bad_input("the file is no LoRA adapter", file.name(), "give a PEFT folder or a GGUF file of type adapter");
  const double alpha = file.number("adapter.lora.alpha", 0);
  // GGUF's llama has q and k in the order of pairs.
  const RopeLayout rows = file.text("general.architecture", base.config().architecture) == "llama" ? RopeLayout::kPairs : RopeLayout::kHalves;
  bool any = false;
  for (const GgufTensor& t : file.tensors()) {
    static const RE2 kKey(R"(blk\.(\d+)\.(\w+)\.weight\.lora_(a|b))"), kBeside(R"((token_embd|output)\.weight\.lora_(a|b))");
    int64_t layer = 0;
    std::string matrix, kind;
    int target = -1;
    if (RE2::FullMatch(t.name, kKey, &layer, &matrix, &kind))
      for (int i = 0; i < kLoraTargets; ++i)
        if (matrix == kNames[i].gguf) target = i;
    if (RE2::FullMatch(t.name, kBeside, &matrix, &kind)) target = matrix == "output" ? kHead : kEmbedding;
    if (target < 0) bad_input(kElsewhere, file.name() + ": " + t.name, "train the adapter on those");
    if (layer >= base.config().layers)
      bad_input("the tensor is of layer " + std::to_string(layer) + ", the base has " + std::to_string(base.config().layers), file.name() + ": " + t.name, "use the base that the adapter was trained on");
    if (kind == "b") continue;
    if (part(layer, static_cast<LoraTarget>(target)).rank) bad_input("the matrix of layer " + std::to_string(layer) + " stands twice", file.name() + ": " + t.name, "save the adapter again");
    const Weight& w = matrix_of(base, layer, static_cast<LoraTarget>(target));
    const bool looked_up = target == kEmbedding;  // a's rows are then tokens
    const int64_t rank = t.shape.size() != 2 ? 0 : t.shape[looked_up ? 1 : 0];
    if (rank < 1 || rank > kMaxRank) bad_input("the rank is " + std::to_string(rank) + ", expected 1 to " + std::to_string(kMaxRank), file.name() + ": " + t.name, "save the adapter again");
    auto floats = [&](const std::string& name, int64_t rows, int64_t cols) {
      const GgufTensor* found = file.find(name);
      if (!found) bad_input("one of lora_a and lora_b is missing", file.name() + ": " + name, "save the adapter again");
      const GgufTensor& from = *found;
      expect_shape(from, {rows, cols}, file.name());
      std::vector<float> out(static_cast<size_t>(rows * cols));
      for (int64_t r = 0; r < rows; ++r) dequantize_row(from.type, reinterpret_cast<const char*>(from.data) + r * row_bytes(from.type, cols), out.data() + r * cols, cols);
      return out;
    };
    const std::string name = t.name.substr(0, t.name.size() - 1);
    auto a = looked_up ? transposed(floats(name + "b", w.cols, rank), w.cols, rank) : floats(name + "a", rank, w.cols);
    auto b = looked_up ? floats(name + "a", w.rows, rank) : floats(name + "b", w.rows, rank);
    set(base, layer, static_cast<LoraTarget>(target), std::move(a), std::move(b), rank, static_cast<float>(alpha != 0 ? alpha / static_cast<double>(rank) : 1.0), rows, {},
        t.type == ElementType::kF16 && file.find(name + "b")->type == ElementType::kF16, file.name() + ": " + t.name);
    any = true;
  }
  if (!any) bad_input("it holds no LoRA matrices", file.name(), "save the adapter again");
}

}  // namespace ingot
