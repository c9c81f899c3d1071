// A language model's frozen trunk as a text encoder: the mean of its last hidden states, or the last one.
#pragma once

#include <memory>

#include "models/pooling.h"
#include "models/text_encoder.h"
#include "text/tokenizer.h"

namespace ingot {

class Llama;

std::shared_ptr<const TextEncoder> make_llama_encoder(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer,
                                                      std::string fingerprint, Pooling pooling = Pooling::kMean);

}  // namespace ingot
