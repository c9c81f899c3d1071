// A language model that is talked to on a terminal: its chat template, its engine, and what was said.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "runtime/engine.h"
#include "runtime/open_model.h"
#include "text/chat_template.h"

namespace ingot {

class ChatSession {
 public:
  // Throws Error (input) if the model has no chat template (the error names one to pull), or one that is not understood.
  // draft_model: guesses ahead; empty: none.
  explicit ChatSession(const std::string& model, EngineOptions options = {}, const std::string& draft_model = "");

  void system(const std::string& text);
  void begin();  // forgets all but the system's message
  // Says it and waits for the answer, which is then part of the conversation; on_text: false stops it, what came is kept.
  // Throws Error (input) when all that was said no longer fits the model's context, with both numbers; nothing is cut silently.
  GenerationResult say(const std::string& text, Generation request, const std::function<bool(std::string_view)>& on_text);

  const Llama& model() const { return *language_.model; }
  const Tokenizer& tokenizer() const { return *language_.tokenizer; }
  const SamplingAdvice& advice() const { return language_.advice; }
  int64_t context() const { return engine_->context(); }
  int64_t used() const { return used_; }  // tokens of the conversation so far

 private:
  LanguageModel language_;
  std::unique_ptr<const ChatTemplate> template_;
  std::unique_ptr<Engine> engine_;
  nlohmann::ordered_json messages_ = nlohmann::ordered_json::array();
  int64_t used_ = 0;
};

}  // namespace ingot
