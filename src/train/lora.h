// Low-rank adapters (Hu 2021) over a frozen model of any stored type; on disk as PEFT lays them out.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/llama/llama.h"

namespace ingot {

struct LoraPlan {
  int64_t rank = 16;
  double alpha = 32;      // B A is multiplied by alpha / rank
  bool rslora = false;    // by alpha / sqrt(rank) (Kalajdzievski 2023)
  std::vector<std::string> targets = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};  // of these
  uint64_t seed = 1;
};

class Lora {
 public:
  // A uniform within 1/sqrt(columns), B zero, as PEFT begins. Throws Error (usage) for a rank below 1 or a target that is not known.
  static std::shared_ptr<Lora> create(const Llama& base, const LoraPlan& plan);
  // From PEFT's two files; trains on. Throws Error (input) for an adapter of another shape or sort.
  static std::shared_ptr<Lora> read(const Llama& base, std::string_view config_json, std::span<const std::byte> safetensors, const std::string& where);
  static std::shared_ptr<Lora> read(const Llama& base, const std::filesystem::path& folder);

  const std::shared_ptr<Llama>& model() const { return model_; }  // the base (its weights are shared) with this adapter
  std::shared_ptr<Llama> merged() const;                          // a model of its own in f32 that gives the same
  std::vector<Weight*> weights();                                 // A and B of every target, in a fixed order
  int64_t parameters() const;

  // The values become what F16 holds of them, as a packed AI has them.
  void round_to_f16();
  // adapter_config.json and adapter_model.safetensors: peft gives the same on the Hugging Face model, so rows of B for queries and keys
  // are put back from GGUF's rotary pairs to halves.
  std::string config_json(const std::string& base_name) const;
  std::string safetensors(ElementType type = ElementType::kF32) const;  // F32 or F16
  void write(const std::filesystem::path& folder, const std::string& base_name) const;

 private:
  struct Part {
    LowRank low_rank;
    std::string module;  // "model.layers.0.self_attn.q_proj"
    int64_t heads = 0;   // > 0: B's rows are in rotary pairs here and in halves on disk
  };
  static std::shared_ptr<Lora> shaped(const Llama& base, const LoraPlan& plan);
  LoraPlan plan_;
  std::shared_ptr<Llama> model_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<std::unique_ptr<float[]>> owned_;
};

}  // namespace ingot
