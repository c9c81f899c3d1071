// A model with its tokenizer as one GGUF, whichever form it is kept in.
#pragma once

#include <filesystem>
#include <memory>

#include "formats/gguf.h"

namespace ingot {

// A .gguf file is opened; a Hugging Face folder is written into memory, in the types that its matrices have.
std::shared_ptr<const Gguf> gguf_of_model(const std::filesystem::path& path);

}  // namespace ingot
