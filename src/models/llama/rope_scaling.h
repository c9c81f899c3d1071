// How a model stretches rotary positions past the context that it was first trained for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "models/hf_config.h"

namespace ingot {

struct RopeScaling {
  enum class Kind { kNone, kLinear, kDynamic, kYarn, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1;
  double trained = 0;                            // positions of the first training
  double beta_fast = 32, beta_slow = 1;          // YaRN: turns within `trained` above which a frequency stays, below which it is divided
  double attention_factor = 0;                   // YaRN: on cos and sin; 0: 0.1 ln factor + 1, or by the two mscales
  double mscale = 0, mscale_all = 0;
  bool truncate = true;                          // YaRN: the ramp's ends at whole dimensions
  double low_frequency_factor = 1, high_frequency_factor = 4;  // Llama 3

  // rope_parameters or rope_scaling of a config.json (or nothing); `context` is max_position_embeddings.
  static RopeScaling of(const HfConfig& scaling, int64_t context);
  static RopeScaling of(const Gguf& file, const std::string& architecture, int64_t context);

  std::vector<float> inverse_frequencies(double base, int64_t dims) const;  // [dims / 2]
  float magnitude() const;                                                  // of cos and sin
};

}  // namespace ingot
