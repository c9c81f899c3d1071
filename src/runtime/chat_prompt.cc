#include "runtime/chat_prompt.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace ingot {
namespace {

const std::string& source_of(const Tokenizer& tokenizer) {
  if (tokenizer.chat_template.empty())
    bad_input("it has no chat template", "model", "it was not made for conversation; use an instruct model, such as smollm2-135m-instruct");
  return tokenizer.chat_template;
}

}  // namespace

ChatPrompt::ChatPrompt(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)), template_(source_of(*tokenizer_)) {}

std::string ChatPrompt::text(const std::vector<ChatMessage>& messages, bool generation) const {
  auto list = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages) list.push_back({{"role", message.role}, {"content", message.content}});
  return text(list, generation, nlohmann::ordered_json::object(), 0);
}

std::string ChatPrompt::text(const nlohmann::ordered_json& messages, bool generation, const nlohmann::ordered_json& more, std::time_t now) const {
  auto piece = [&](int32_t id) { return id < 0 ? std::string() : std::string(tokenizer_->piece(id)); };
  nlohmann::ordered_json variables = more;
  variables["messages"] = messages;
  variables["add_generation_prompt"] = generation;
  variables["bos_token"] = piece(tokenizer_->bos);
  variables["eos_token"] = piece(tokenizer_->eos);
  return template_.render(variables, now);
}

}  // namespace ingot
