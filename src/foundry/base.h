// The model that an AI starts from: a recipe's `base`, or the member of a packed file.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "foundry/cached_encoder.h"

namespace ingot {

struct Base {
  std::shared_ptr<const TextEncoder> encoder;
  std::shared_ptr<const CachedEncoder> cached;  // the same encoder while a recipe is built; null in a packed AI
  std::span<const std::byte> bytes;  // the GGUF, to be packed; kept alive by the encoder
  explicit operator bool() const { return encoder != nullptr; }
};

// "none" gives an empty base. What the trunk makes of a text is kept in the user's cache. Throws Error for a model that is not there or of an unknown family.
Base open_base(const std::string& name);
// owner keeps the bytes alive.
// "features  1200 texts read by NAME in 40.1 s, 300 from the cache"; empty for an empty base.
std::string features_line(const Base& base, const std::string& name);
Base base_of_bytes(std::span<const std::byte> gguf, const std::string& name, std::shared_ptr<const void> owner);

}  // namespace ingot
