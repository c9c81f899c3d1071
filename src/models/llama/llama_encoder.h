// A language model's trunk as a text encoder: the mean of its last hidden states, or the last one.
#pragma once

#include <memory>

#include "models/pooling.h"
#include "models/text_encoder.h"
#include "text/tokenizer.h"

namespace ingot {

class Llama;

// Which one in `one_in` texts the tuning of a trunk leaves out, so that what its vectors are worth can be told: by the text alone.
bool kept_back(const std::string& text, int64_t one_in);
constexpr const char* kKeptBackKey = "ingot.tuning.kept_back";  // of a GGUF file whose trunk was tuned: its one_in

// kept_back_of: one_in of a trunk that was tuned on labels; 0: it never was.
std::shared_ptr<const TextEncoder> make_llama_encoder(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer,
                                                      std::string fingerprint, Pooling pooling = Pooling::kMean, int64_t kept_back_of = 0);

}  // namespace ingot
