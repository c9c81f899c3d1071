// The steps around the model in tokenizer.json. Each refuses by name what it does not know.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "text/tokenizer_parts.h"

namespace ingot {

void read_normalizer(const nlohmann::json& json, TokenizerParts& parts);
bool read_pre_tokenizer(const nlohmann::json& json, TokenizerParts& parts);  // whether pieces become bytes
void read_decoder(const nlohmann::json& json, TokenizerParts& parts);
void read_post_processor(const nlohmann::json& json, TokenizerParts& parts);

}  // namespace ingot
