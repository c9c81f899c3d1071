// How a model's makers advise to draw its tokens.
#pragma once

#include <filesystem>
#include <optional>

namespace ingot {

class Gguf;
class GgufWriter;
struct Sampling;

// What they leave out is empty.
struct SamplingAdvice {
  std::optional<double> temperature, top_p, min_p, repetition;
  std::optional<int> top_k;

  // Of a Hugging Face folder's generation_config.json, whether do_sample stands there or not (as vLLM reads it). Throws Error (input).
  static SamplingAdvice of_folder(const std::filesystem::path& folder);
  static SamplingAdvice of_gguf(const Gguf& file);  // general.sampling.*, as llama.cpp writes it
  void write(GgufWriter& out) const;
  void apply(Sampling& to) const;
};

}  // namespace ingot
