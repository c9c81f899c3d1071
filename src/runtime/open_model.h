// A language model with its tokenizer, by path or by name.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/llama/llama.h"
#include "text/tokenizer.h"

namespace ingot {

struct LanguageModel {
  std::filesystem::path path;
  std::shared_ptr<Llama> model;
  std::shared_ptr<const Tokenizer> tokenizer;
};

// A .gguf path, "ingot-base" (the embedded default), or the name of a model that was pulled. Throws Error (input) saying what to do.
std::filesystem::path find_model(const std::string& name);
LanguageModel open_model(const std::string& name);

}  // namespace ingot
