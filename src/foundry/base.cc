#include "foundry/base.h"

#include "core/files.h"
#include "core/sha256.h"
#include "models/llama/llama.h"
#include "models/llama/llama_encoder.h"
#include "runtime/open_model.h"

namespace ingot {

Base base_of_bytes(std::span<const std::byte> gguf, const std::string& name, std::shared_ptr<const void> owner) {
  auto file = Gguf::parse(gguf, name, std::move(owner));
  auto model = Llama::load(file);
  return {make_llama_encoder(model, Tokenizer::from_gguf(*file), hex(sha256(gguf))), gguf};
}

Base open_base(const std::string& name) {
  if (name.empty() || name == "none") return {};
  const auto path = find_model(name);
  auto file = std::make_shared<MappedFile>(path);
  return base_of_bytes(file->bytes(), path.string(), file);
}

}  // namespace ingot
