// Kind "chat": a base, an adapter over it, and how it is spoken to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "foundry/chat/shared_base.h"
#include "runtime/chat_prompt.h"
#include "train/lora.h"

namespace ingot {

class Archive;

struct ChatAi {
  std::shared_ptr<const SharedBase> base;  // one object for all AIs over the same file
  std::shared_ptr<Lora> lora;              // null: the base as it is (a distilled student has no adapter)
  std::shared_ptr<const ChatPrompt> prompt;
  std::string system;                      // system message for conversations that bring none; empty: none
  int64_t max_tokens = 256;                // of an answer when the request does not say

  // The base with the adapter; its weights are the base's own.
  std::shared_ptr<const Llama> model() const { return lora ? std::shared_ptr<const Llama>(lora->model()) : base->model; }
  // `messages` with the system message put in front where they bring none.
  std::vector<ChatMessage> with_system(std::vector<ChatMessage> messages) const;
};

// How it is spoken to: chat.json.
struct ChatSettings {
  std::string system;
  int64_t max_tokens = 256;
};
ChatSettings chat_settings(const Archive& archive);

// PEFT's two files as they stand in the archive; empty when it has no adapter.
struct AdapterMembers {
  std::string_view config_json;
  std::span<const std::byte> safetensors;
};
AdapterMembers adapter_of(const Archive& archive);

// Throws Error for an archive that lacks its parts or whose base is not to be found.
ChatAi open_chat(const std::shared_ptr<const Archive>& archive);

}  // namespace ingot
