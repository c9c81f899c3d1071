// Conversations as training samples: the model's own template, and only the assistant's answers count.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/chat_prompt.h"
#include "train/tuner.h"

namespace ingot {

struct Conversation {
  std::vector<ChatMessage> messages;
  std::string file;     // where it was read
  uint64_t line = 0;
  int64_t time = 0;     // seconds since 1970; 0 if unknown
};

enum class TooLong { kRefuse, kWindow };

struct ChatSamples {
  std::vector<TuningSample> samples;
  std::vector<size_t> conversation;  // of each sample
  std::map<std::string, std::vector<size_t>> refused;  // reason -> conversations
  size_t windowed = 0, windows = 0;  // conversations that were cut, and the samples they became
  int64_t tokens = 0, scored = 0;
};

// An answer's tokens are those that follow the prompt that serving would send, its end token included. What follows the last answer is
// left out. A conversation of more than `longest` tokens is refused, or cut into overlapping windows in which every token is scored once.
ChatSamples chat_samples(const ChatPrompt& prompt, const std::vector<Conversation>& conversations, int64_t longest, TooLong too_long);

}  // namespace ingot
