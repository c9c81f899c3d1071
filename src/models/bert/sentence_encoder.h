// A BERT as a sentence encoder, with the settings that sentence-transformers keeps beside a model.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/bert/bert.h"
#include "models/pooling.h"
#include "models/text_encoder.h"
#include "text/tokenizer.h"

namespace ingot {

struct SentenceSettings {
  Pooling pooling = Pooling::kMean;
  int64_t window = 0;  // tokens of a window, the two around it counted; 0: all that the model holds
};

// modules.json, the pooling's config.json and sentence_bert_config.json, each if it is there. Throws Error (input) for a module
// that would change the vectors in a way not known here.
SentenceSettings read_sentence_settings(const std::filesystem::path& folder);
// The pooling that a GGUF names (ARCHITECTURE.pooling_type); its window is all that the model holds.
SentenceSettings read_sentence_settings(const Gguf& file);
void write_pooling(GgufWriter& out, Pooling pooling);

std::shared_ptr<const TextEncoder> make_sentence_encoder(std::shared_ptr<const Bert> model, std::shared_ptr<const Tokenizer> tokenizer,
                                                         SentenceSettings settings);

}  // namespace ingot
