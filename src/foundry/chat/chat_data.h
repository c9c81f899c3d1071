// Conversations from files: messages, prompt and completion, question and answer; JSON lines or CSV.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "train/chat_samples.h"

namespace ingot {

struct ChatData {
  std::vector<Conversation> conversations;
  std::map<std::string, uint64_t> skipped;      // reason -> rows
  std::vector<std::string> notes;               // what was left out or assumed, a line each, with file and line
};

// spec is jsonl:PATH or csv:PATH, or a path whose ending says which. map: prompt=COLUMN,completion=COLUMN (and system, time) where the
// columns have other names than prompt/completion, question/answer, instruction/output or text/summary. A JSON line may hold `messages`
// ({role, content}) or `conversations` ({from, value}) instead. system: put in front of conversations that have no system message.
// Throws Error (input) for what cannot be read at all.
ChatData read_chat(const std::string& spec, const std::string& map, const std::string& system);

// Takes out conversations that occur again, and answers that contradict an earlier one to the same words; counts them.
void drop_repeated(ChatData& data);

// "3 rows not used: REASON (FILE:LINE, ...)".
std::string refusal_line(const std::string& reason, const std::vector<size_t>& which, const std::vector<Conversation>& conversations);

}  // namespace ingot
