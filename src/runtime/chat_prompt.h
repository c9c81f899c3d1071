// From a conversation to the tokens a model reads: the one way that serving, evaluation and training share.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace ingot {

struct ChatMessage {
  std::string role, content;  // role: system, user, assistant, tool
};

// Immutable once made; any thread may use it.
class ChatPrompt {
 public:
  // By the tokenizer's template. Throws Error (input) when there is none, or one outside the subset.
  explicit ChatPrompt(std::shared_ptr<const Tokenizer> tokenizer);

  // The template's text. generation: with the beginning of an answer, for the model to go on from.
  std::string text(const std::vector<ChatMessage>& messages, bool generation) const;
  // The same from messages as clients send them; more: further variables such as tools. now: what the template may print as the date.
  std::string text(const nlohmann::ordered_json& messages, bool generation, const nlohmann::ordered_json& more, std::time_t now) const;
  // Special tokens in the text become their ids; nothing is put in front, since the template has written it.
  std::vector<int32_t> tokens(std::string_view text) const { return tokenizer_->encode(text, true, false); }
  std::vector<int32_t> tokens(const std::vector<ChatMessage>& messages, bool generation) const { return tokens(text(messages, generation)); }

  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  ChatTemplate template_;
};

}  // namespace ingot
