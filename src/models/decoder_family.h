// What tells one family of decoders from another. A family is a folder with one DecoderFamily; docs/adding-a-model.md shows how to
// add one. What all share (RMSNorm, rotary positions, grouped-query attention, gated feed-forward) is Llama's code.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "models/hf_config.h"
#include "models/llama/llama.h"

namespace ingot {

struct DecoderFamily {
  std::string_view gguf;         // general.architecture, which is also what we write
  std::string_view model_types;  // model_type of config.json, separated by spaces
  LlamaConfig defaults;          // of keys that config.json may leave out
  // Each sets what the family has beyond the shared keys, which have been read. Throws Error (input) for a variant that would be
  // computed wrongly.
  void (*read_gguf)(const Gguf& file, LlamaConfig& config);
  void (*read_hf)(const HfConfig& file, LlamaConfig& config);
};

extern const DecoderFamily kLlamaFamily, kMistralFamily, kQwen2Family, kQwen3Family, kGemma3Family;

// Throws Error (input) naming the families that are known.
const DecoderFamily& family_of(const Gguf& file);
const DecoderFamily& family_of(const HfConfig& file);
const DecoderFamily* find_family(std::string_view model_type);  // null when unknown

// Which layers layer_types of config.json names sliding_attention; without that key, those that the rule says.
std::vector<bool> read_layer_types(const HfConfig& file, int64_t layers, const std::function<bool(int64_t layer)>& otherwise);

}  // namespace ingot
