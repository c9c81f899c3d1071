// A model with what belongs to it, by path or by name.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/llama/llama.h"
#include "models/pooling.h"
#include "models/text_encoder.h"
#include "runtime/sampling_advice.h"
#include "text/tokenizer.h"

namespace ingot {

struct LanguageModel {
  std::filesystem::path path;
  std::shared_ptr<Llama> model;
  std::shared_ptr<const Tokenizer> tokenizer;  // with the chat template and the tokens that end an answer
  SamplingAdvice advice;
};

// A .gguf file (the first of a split one), a Hugging Face folder, "ingot-base" (the embedded default), or the name of a model that
// was pulled. Throws Error (input) saying what to do.
std::filesystem::path find_model(const std::string& name);
LanguageModel open_model(const std::string& name);
// Throws what opening it (with this LoRA adapter, unless empty) would, without reading or rearranging the weights.
void check_model(const std::string& name, const std::filesystem::path& adapter = {});
// A smaller model that guesses for one with this tokenizer. Throws Error (input) where its vocabulary is another.
std::shared_ptr<const Llama> open_draft_model(const std::string& name, const Tokenizer& tokenizer);
// What open_model does to a model's weights (ops/interleave.h), for those that were loaded otherwise.
void arrange_weights(Llama& model);

// How a language model's states become one vector: as its folder or file says, else their mean.
Pooling pooling_of(const LanguageModel& model);
// Whether what lies there (a folder or a file) is an encoder, which cannot generate.
bool is_sentence_encoder(const std::filesystem::path& path);
// A sentence encoder's folder or GGUF, or any language model read as one. Without a pooling: as the model says, else the mean.
std::shared_ptr<const TextEncoder> open_encoder(const std::string& name, std::optional<Pooling> pooling = {});
// The same for a rail, which wants a verdict within milliseconds and no exact vector: a BERT's products in 8 bits.
std::shared_ptr<const TextEncoder> open_rail_encoder(const std::string& name);

}  // namespace ingot
