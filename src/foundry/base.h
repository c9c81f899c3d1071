// The model that an AI starts from: a recipe's `base`, or the member of a packed file.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "models/text_encoder.h"

namespace ingot {

struct Base {
  std::shared_ptr<const TextEncoder> encoder;
  std::span<const std::byte> bytes;  // the GGUF, to be packed; kept alive by the encoder
  explicit operator bool() const { return encoder != nullptr; }
};

// "none" gives an empty base. Throws Error for a model that is not there or of an unknown family.
Base open_base(const std::string& name);
// owner keeps the bytes alive.
Base base_of_bytes(std::span<const std::byte> gguf, const std::string& name, std::shared_ptr<const void> owner);

}  // namespace ingot
