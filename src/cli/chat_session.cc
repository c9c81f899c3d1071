#include "cli/chat_session.h"

#include <ctime>
#include <filesystem>

#include "core/error.h"
#include "formats/archive.h"
#include "text/written_specials.h"

namespace ingot {
namespace {

std::string token_text(const Tokenizer& tokenizer, int32_t id) { return id < 0 ? std::string() : std::string(tokenizer.piece(id)); }

LanguageModel plain_model(const std::string& name) {
  if (std::filesystem::is_regular_file(name) && looks_like_archive(name))
    bad_input("this is an AI, whose rails a service applies", name, "start ingot serve " + name + " and open its address, or ask /v1/chat/completions");
  return open_model(name);
}

}  // namespace

ChatSession::ChatSession(const std::string& model, EngineOptions options, const std::string& draft_model) : language_(plain_model(model)) {
  const std::string& source = language_.tokenizer->chat_template;
  if (source.empty()) bad_input("this model does not converse: it has no chat template", model, "fetch one that does: ingot pull smollm2-135m-instruct, then ingot chat smollm2-135m-instruct");
  template_ = std::make_unique<ChatTemplate>(source, model + ": chat template");
  if (!draft_model.empty()) options.draft_model = open_draft_model(draft_model, *language_.tokenizer);
  engine_ = std::make_unique<Engine>(language_.model, language_.tokenizer, default_team(), options);
}

void ChatSession::system(const std::string& text) {
  messages_ = nlohmann::ordered_json::array();
  if (!text.empty()) messages_.push_back({{"role", "system"}, {"content", text}});
  used_ = 0;
}

void ChatSession::begin() {
  const bool keep = !messages_.empty() && messages_[0]["role"] == "system";
  messages_ = keep ? nlohmann::ordered_json::array({messages_[0]}) : nlohmann::ordered_json::array();
  used_ = 0;
}

GenerationResult ChatSession::say(const std::string& text, Generation request, const std::function<bool(std::string_view)>& on_text) {
  messages_.push_back({{"role", "user"}, {"content", text}});
  try {
    const Tokenizer& tokenizer = *language_.tokenizer;
    nlohmann::ordered_json variables = {{"messages", messages_}};
    const WrittenSpecials specials(tokenizer, variables);
    specials.mark(variables);
    variables.update({{"add_generation_prompt", true}, {"bos_token", token_text(tokenizer, tokenizer.bos)}, {"eos_token", token_text(tokenizer, tokenizer.eos)}});
    const PromptText prompt = specials.take_out(template_->render(variables, std::time(nullptr)));
    request.prompt = tokenizer.encode_prompt(prompt.text, prompt.written);  // the template writes its own beginning
    const auto length = static_cast<int64_t>(request.prompt.size());
    if (length >= context()) bad_input("the conversation has " + std::to_string(length) + " tokens, the context " + std::to_string(context()) + ", the model's own " + std::to_string(language_.model->config().context), "chat",
                                     context() < language_.model->config().context ? "begin a new one (/new), or allow a longer one with --context" : "begin a new one (/new)");
    request.limit = std::min(request.limit, context() - length);
    request.on_text = on_text;
    GenerationResult result = engine_->generate(request);
    messages_.push_back({{"role", "assistant"}, {"content", result.text}});
    used_ = length + static_cast<int64_t>(result.tokens.size());
    return result;
  } catch (...) {
    messages_.erase(messages_.size() - 1);
    throw;
  }
}

}  // namespace ingot
