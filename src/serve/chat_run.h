// An answer to a conversation as it comes: generated, let through the release gate, taken apart into text, thoughts and calls.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/release_gate.h"
#include "serve/chat_task.h"
#include "serve/generation_run.h"
#include "serve/tool_calls.h"

namespace ingot {

struct ChatEvent {
  int choice = 0;
  AnswerPart part;                     // text may be empty where only tokens are told
  std::vector<GeneratedToken> tokens;  // with scores, if they were asked for; only of text that may be seen
};

// How one choice ended.
struct ChatOutcome {
  std::string reason = "stop";  // OpenAI's: stop, length, tool_calls, content_filter
  std::string stop;             // the stop text that was met
  std::string rail;             // the output rail that stopped it, and why
  std::string rail_reason;
};

class ChatRun {
 public:
  // task: after prepare_chat. Throws what GenerationRun throws.
  ChatRun(Service& service, Call& call, ChatTask& task);

  // Waits until an error can no longer be told by a status of its own.
  void wait_for_first();
  // What came since the last call; empty: it is over. Throws what the engine threw.
  std::vector<ChatEvent> next();
  const ChatOutcome& outcome(int choice) const { return choices_[static_cast<size_t>(choice)].outcome; }  // REQUIRES: it is over
  const std::vector<GenerationResult>* results() const { return run_ ? &run_->results() : nullptr; }  // null: refused; REQUIRES: it is over
  int choices() const { return static_cast<int>(choices_.size()); }

 private:
  struct Choice {
    std::unique_ptr<ReleaseGate> gate;
    AnswerParser parser;
    bool stopped = false, gated = false;
    std::vector<GeneratedToken> tokens;
    ChatOutcome outcome;
  };
  void take(int index, std::string_view text, std::vector<ChatEvent>& out);
  void say(int index, std::vector<AnswerPart> parts, std::vector<ChatEvent>& out);
  void stop(int index, std::string words, std::vector<ChatEvent>& out);
  ChatTask& task_;
  std::vector<Choice> choices_;
  std::unique_ptr<GenerationRun> run_;  // null: the input rails refused
  bool over_ = false;
};

// One whole answer, for APIs that do not stream.
struct ChatAnswer {
  std::string content, reasoning;
  std::vector<AnswerPart> calls;
  std::vector<GeneratedToken> tokens;
  ChatOutcome outcome;
};
std::vector<ChatAnswer> whole_answers(ChatRun& run);

// The gate of a model's answers to this question: its output rails, or an open one.
std::unique_ptr<ReleaseGate> gate_for(const ServedModel& model, const std::string& question, const std::vector<std::string>& documents = {});

// "call_..." as OpenAI has it; nine letters for Mistral's templates, which refuse others.
std::string tool_call_id(const Call& call, int choice, size_t number);

}  // namespace ingot
