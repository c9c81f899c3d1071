// Objects that several of OpenAI's APIs share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "serve/access.h"

namespace ingot {

struct ServedModel;

nlohmann::ordered_json usage_object(const Usage& usage);
nlohmann::ordered_json chat_logprobs(const std::vector<GeneratedToken>& tokens, const Tokenizer& tokenizer);
std::string fingerprint_of(const ServedModel& model);  // "fp_" and the beginning of the AI's hash
float finite(float logprob);                           // what cannot be drawn has -9999, as JSON has no infinity

}  // namespace ingot
