#include "serve/openai_shapes.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "serve/model_registry.h"

namespace ingot {

using Json = nlohmann::ordered_json;

Json usage_object(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens}, {"completion_tokens", usage.generated_tokens}, {"total_tokens", usage.prompt_tokens + usage.generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

float finite(float logprob) { return std::isfinite(logprob) ? logprob : -9999.0f; }

std::string fingerprint_of(const ServedModel& model) { return "fp_" + model.hash.substr(0, 16); }

Json chat_logprobs(const std::vector<GeneratedToken>& tokens, const Tokenizer& tokenizer) {
  const auto object = [&](const TokenScore& score) {
    const std::string bytes = tokenizer.decode(std::span(&score.token, 1), true);
    Json list = Json::array();
    for (const char c : bytes) list.push_back(static_cast<int>(static_cast<unsigned char>(c)));
    return Json{{"token", repair_utf8(bytes)}, {"logprob", finite(score.logprob)}, {"bytes", std::move(list)}};
  };
  Json content = Json::array();
  for (const GeneratedToken& token : tokens) {
    if (token.scores.empty()) continue;
    Json one = object(token.scores[0]), top = Json::array();
    for (size_t i = 1; i < token.scores.size(); ++i) top.push_back(object(token.scores[i]));
    one["top_logprobs"] = std::move(top);
    content.push_back(std::move(one));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace ingot
