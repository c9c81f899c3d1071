#include "foundry/base.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/files.h"
#include "core/sha256.h"
#include "models/llama/llama.h"
#include "models/llama/llama_encoder.h"
#include "runtime/open_model.h"

namespace ingot {

Base base_of_bytes(std::span<const std::byte> gguf, const std::string& name, std::shared_ptr<const void> owner) {
  auto file = Gguf::parse(gguf, name, std::move(owner));
  auto model = Llama::load(file);
  return {make_llama_encoder(model, Tokenizer::from_gguf(*file), hex(sha256(gguf)), Pooling::kMean, std::clamp<int64_t>(static_cast<int64_t>(file->number(kKeptBackKey, 0)), 0, 1000)), nullptr, gguf};
}

std::string features_line(const Base& base, const std::string& name) {
  if (!base.cached) return "";
  const CachedEncoder::Used used = base.cached->used();
  return fmt::format("features  {} texts read by {} in {:.1f} s, {} from the cache", used.read, name, used.seconds, used.from_cache);
}

Base open_base(const std::string& name) {
  if (name.empty() || name == "none") return {};
  const auto path = find_model(name);
  auto file = std::make_shared<MappedFile>(path);
  Base base = base_of_bytes(file->bytes(), path.string(), file);
  base.cached = std::make_shared<CachedEncoder>(base.encoder);
  base.encoder = base.cached;
  return base;
}

}  // namespace ingot
