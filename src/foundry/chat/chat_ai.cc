#include "foundry/chat/chat_ai.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/archive.h"

namespace ingot {

std::vector<ChatMessage> ChatAi::with_system(std::vector<ChatMessage> messages) const {
  if (!system.empty() && (messages.empty() || messages[0].role != "system")) messages.insert(messages.begin(), {"system", system});
  return messages;
}

AdapterMembers adapter_of(const Archive& archive) {
  if (!archive.has("adapter/adapter_config.json")) return {};
  return {archive.text("adapter/adapter_config.json"), archive.member("adapter/adapter_model.safetensors")};
}

ChatSettings chat_settings(const Archive& archive) {
  ChatSettings out;
  if (!archive.has("chat.json")) return out;
  const auto settings = nlohmann::json::parse(archive.text("chat.json"), nullptr, false);
  if (!settings.is_object()) throw Error(ErrorKind::altered, "chat.json is no JSON object", archive.path().string(), "build the file again");
  try {
    out.system = settings.value("system", "");
    out.max_tokens = settings.value("max_tokens", out.max_tokens);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::altered, "chat.json holds a value of the wrong type", archive.path().string(), "build the file again");
  }
  return out;
}

ChatAi open_chat(const std::shared_ptr<const Archive>& archive) {
  ChatAi ai;
  ai.base = base_of(archive);
  ai.prompt = std::make_shared<ChatPrompt>(ai.base->tokenizer);
  if (const AdapterMembers adapter = adapter_of(*archive); !adapter.config_json.empty())
    ai.lora = Lora::read(*ai.base->model, adapter.config_json, adapter.safetensors, archive->path().string() + ": adapter");
  const ChatSettings settings = chat_settings(*archive);
  ai.system = settings.system;
  ai.max_tokens = settings.max_tokens;
  return ai;
}

}  // namespace ingot
