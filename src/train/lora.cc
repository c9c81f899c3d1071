#include "train/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "formats/safetensors.h"
#include "formats/safetensors_writer.h"

namespace ingot {
namespace {

struct Target {
  const char* name;    // PEFT's word
  const char* gguf;    // the tensor's name within its block
  const char* module;  // within Hugging Face's layer
};
constexpr Target kTargets[] = {{"q_proj", "attn_q", "self_attn.q_proj"}, {"k_proj", "attn_k", "self_attn.k_proj"},
                               {"v_proj", "attn_v", "self_attn.v_proj"}, {"o_proj", "attn_output", "self_attn.o_proj"},
                               {"gate_proj", "ffn_gate", "mlp.gate_proj"}, {"up_proj", "ffn_up", "mlp.up_proj"},
                               {"down_proj", "ffn_down", "mlp.down_proj"}};

const Target* target_of(std::string_view weight) {
  if (!weight.starts_with("blk.") || !weight.ends_with(".weight")) return nullptr;
  const size_t dot = weight.find('.', 4);
  const std::string_view part = weight.substr(dot + 1, weight.size() - 7 - dot - 1);
  for (const Target& target : kTargets)
    if (part == target.gguf) return &target;
  return nullptr;
}

// Row of a matrix in halves that is row `r` of the same matrix in pairs.
int64_t half_row(int64_t r, int64_t head) { return r / head * head + (r % head % 2) * (head / 2) + r % head / 2; }

}  // namespace

std::shared_ptr<Lora> Lora::shaped(const Llama& base, const LoraPlan& plan) {
  if (plan.rank < 1 || plan.rank > 4096) throw Error(ErrorKind::usage, "the rank is " + std::to_string(plan.rank), "LoRA", "choose 1 to 4096; 8 to 64 is usual");
  for (const std::string& name : plan.targets)
    if (std::none_of(std::begin(kTargets), std::end(kTargets), [&](const Target& t) { return name == t.name; }))
      throw Error(ErrorKind::usage, "\"" + name + "\" is no matrix that an adapter can change", "LoRA targets",
                  "choose among q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj");
  auto lora = std::make_shared<Lora>();
  lora->plan_ = plan;
  lora->model_ = std::make_shared<Llama>(base);
  const LlamaConfig& c = base.config();
  for (Weight* w : lora->model_->weights()) {
    w->grad = nullptr;  // frozen
    w->low_rank = nullptr;
    const Target* target = target_of(w->name);
    if (!target || std::find(plan.targets.begin(), plan.targets.end(), target->name) == plan.targets.end()) continue;
    auto part = std::make_unique<Part>();
    part->module = "model.layers." + w->name.substr(4, w->name.find('.', 4) - 4) + "." + target->module;
    auto make = [&](const char* which, int64_t rows, int64_t cols) {
      const auto count = static_cast<size_t>(rows * cols);
      float* data = lora->owned_.emplace_back(new float[count]()).get();
      float* grad = lora->owned_.emplace_back(new float[count]()).get();
      return Weight{part->module + which, ElementType::kF32, rows, cols, data, grad, nullptr};
    };
    part->low_rank.a = make(".lora_A.weight", plan.rank, w->cols);
    part->low_rank.b = make(".lora_B.weight", w->rows, plan.rank);
    const auto rank = static_cast<double>(plan.rank);
    part->low_rank.scale = static_cast<float>(plan.alpha / (plan.rslora ? std::sqrt(rank) : rank));
    if (c.rope_layout == RopeLayout::kPairs) {
      if (std::strcmp(target->name, "q_proj") == 0) part->heads = c.heads;
      if (std::strcmp(target->name, "k_proj") == 0) part->heads = c.groups;
    }
    w->low_rank = &part->low_rank;
    lora->parts_.push_back(std::move(part));
  }
  if (lora->parts_.empty()) throw Error(ErrorKind::usage, "the adapter changes no matrix of this model", "LoRA targets", "name at least one, such as q_proj");
  return lora;
}

std::shared_ptr<Lora> Lora::create(const Llama& base, const LoraPlan& plan) {
  auto lora = shaped(base, plan);
  Random random(plan.seed);
  for (auto& part : lora->parts_) {
    const Weight& a = part->low_rank.a;
    const double bound = 1 / std::sqrt(static_cast<double>(a.cols));
    auto* values = const_cast<float*>(a.f32());
    for (int64_t i = 0; i < a.size(); ++i) values[i] = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
  return lora;
}

std::shared_ptr<Llama> Lora::merged() const {
  auto model = Llama::trainable(*model_);
  for (Weight* w : model->weights()) {
    if (!w->low_rank) continue;
    const LowRank& l = *w->low_rank;
    auto* values = const_cast<float*>(w->f32());
    for (int64_t r = 0; r < w->rows; ++r)
      for (int64_t k = 0; k < l.a.rows; ++k) {
        const float by = l.scale * l.b.f32()[r * l.a.rows + k];
        for (int64_t j = 0; j < w->cols; ++j) values[r * w->cols + j] += by * l.a.f32()[k * w->cols + j];
      }
    w->low_rank = nullptr;
  }
  return model;
}

std::vector<Weight*> Lora::weights() {
  std::vector<Weight*> all;
  for (auto& part : parts_) {
    all.push_back(&part->low_rank.a);
    all.push_back(&part->low_rank.b);
  }
  return all;
}

int64_t Lora::parameters() const {
  int64_t sum = 0;
  for (const auto& part : parts_) sum += part->low_rank.a.size() + part->low_rank.b.size();
  return sum;
}

std::string Lora::config_json(const std::string& base_name) const {
  nlohmann::ordered_json out = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}, {"base_model_name_or_path", base_name}, {"r", plan_.rank},
                                {"lora_alpha", plan_.alpha}, {"use_rslora", plan_.rslora}, {"use_dora", false}, {"lora_dropout", 0.0}, {"bias", "none"},
                                {"fan_in_fan_out", false}, {"inference_mode", true}, {"init_lora_weights", true}, {"target_modules", plan_.targets}};
  return out.dump(2) + "\n";
}

void Lora::round_to_f16() {
  for (Weight* w : weights())
    for (int64_t i = 0; i < w->size(); ++i) {
      float& value = const_cast<float*>(w->f32())[i];
      value = f32_of_f16(f16_of_f32(value));
    }
}

std::string Lora::safetensors(ElementType type) const {
  SafetensorsWriter out;
  for (const auto& part : parts_) {
    const std::string prefix = "base_model.model." + part->module;
    const Weight &a = part->low_rank.a, &b = part->low_rank.b;
    out.add(prefix + ".lora_A.weight", {a.rows, a.cols}, std::vector<float>(a.f32(), a.f32() + a.size()), type);
    std::vector<float> rows(static_cast<size_t>(b.size()));
    for (int64_t r = 0; r < b.rows; ++r) {
      const int64_t to = part->heads ? half_row(r, b.rows / part->heads) : r;
      std::memcpy(rows.data() + to * b.cols, b.f32() + r * b.cols, static_cast<size_t>(b.cols) * sizeof(float));
    }
    out.add(prefix + ".lora_B.weight", {b.rows, b.cols}, std::move(rows), type);
  }
  return out.bytes();
}

void Lora::write(const std::filesystem::path& folder, const std::string& base_name) const {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) throw Error(ErrorKind::environment, "the folder cannot be made: " + failed.message(), folder.string(), "choose another");
  write_file(folder / "adapter_model.safetensors", safetensors());
  write_file(folder / "adapter_config.json", config_json(base_name));
}

std::shared_ptr<Lora> Lora::read(const Llama& base, std::string_view config_json, std::span<const std::byte> safetensors, const std::string& where) {
  using nlohmann::json;
  const json config = json::parse(config_json, nullptr, false);
  if (!config.is_object()) bad_input("adapter_config.json is no JSON object", where, "give the folder that peft or ingot tune wrote");
  LoraPlan plan;
  try {
    if (config.value("peft_type", "") != "LORA") bad_input("the adapter is of type \"" + config.value("peft_type", "") + "\", only LORA is read", where, "give a LoRA adapter");
    if (config.value("use_dora", false)) bad_input("the adapter is a DoRA, which cannot be trained on here", where, "give a plain LoRA adapter");
    plan.rank = config.at("r").is_number_integer() ? config.at("r").get<int64_t>() : 0;
    plan.alpha = config.value("lora_alpha", 8.0);
    plan.rslora = config.value("use_rslora", false);
    const json& targets = config.at("target_modules");
    if (targets.is_array()) plan.targets = targets.get<std::vector<std::string>>();
    else if (!targets.is_string() || targets != "all-linear") bad_input("target_modules is no list of names", where, "give an adapter that names its modules");
  } catch (const json::exception& error) {
    bad_input(std::string("adapter_config.json lacks what is needed: ") + error.what(), where, "give the folder that peft or ingot tune wrote");
  }
  auto lora = shaped(base, plan);
  const auto file = Safetensors::parse(safetensors, where + ": adapter_model.safetensors");
  for (auto& part : lora->parts_) {
    const std::string prefix = "base_model.model." + part->module;
    const Weight &a = part->low_rank.a, &b = part->low_rank.b;
    const int64_t shape_a[] = {a.rows, a.cols}, shape_b[] = {b.rows, b.cols};
    const auto values_a = file->floats(prefix + ".lora_A.weight", shape_a), values_b = file->floats(prefix + ".lora_B.weight", shape_b);
    std::copy(values_a.begin(), values_a.end(), const_cast<float*>(a.f32()));
    for (int64_t r = 0; r < b.rows; ++r) {
      const int64_t from = part->heads ? half_row(r, b.rows / part->heads) : r;
      std::memcpy(const_cast<float*>(b.f32()) + r * b.cols, values_b.data() + from * b.cols, static_cast<size_t>(b.cols) * sizeof(float));
    }
  }
  return lora;
}

std::shared_ptr<Lora> Lora::read(const Llama& base, const std::filesystem::path& folder) {
  const std::string config = read_file(folder / "adapter_config.json", 1 << 20);
  MappedFile tensors(folder / "adapter_model.safetensors");
  return read(base, config, tensors.bytes(), folder.string());
}

}  // namespace ingot
