// What a model says, taken apart as it comes: thinking aloud, text for the reader, and calls of tools in the model family's own form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// How a family writes calls. kHermes: <tool_call>{...}</tool_call> (Qwen 2.5 and 3, Hermes, SmolLM2, and models whose template knows no
// tools); kLlama: a JSON object or <|python_tag|>; kMistral: [TOOL_CALLS]; kGemma: a JSON object, a list of Python calls, or a fence
// around either; kWhole: the answer is held to one call as JSON.
enum class ToolFormat { kNone, kHermes, kLlama, kMistral, kGemma, kWhole };

// By the words of its chat template.
ToolFormat tool_format_of(std::string_view chat_template);

struct AnswerPart {
  enum Kind { kContent, kReasoning, kToolCall } kind;
  std::string text;             // content and reasoning
  std::string name, arguments;  // of a call; arguments are JSON text
};

// One answer. What might still become a call, or the end of a thought, is held until it is certain; nothing is lost.
class AnswerParser {
 public:
  // thinking: the prompt has already opened <think>. may_think: the model knows <think>.
  AnswerParser(ToolFormat format, bool may_think, bool thinking);
  std::vector<AnswerPart> push(std::string_view text);
  std::vector<AnswerPart> finish();
  size_t calls() const { return calls_; }

 private:
  enum class State { kStart, kThinking, kText, kCall };
  void step(bool last, std::vector<AnswerPart>& out);
  void release(std::string_view text, std::vector<AnswerPart>& out);
  bool read_calls(std::string_view text, std::vector<AnswerPart>& out);
  ToolFormat format_;
  bool may_think_;
  State state_;
  bool thought_ = false;
  bool said_ = false;   // some text was released: a call that must come first can no longer come
  std::string held_, space_;  // space_: white space that is given out only if text follows
  size_t calls_ = 0;
};

// name(key=value, ...), several of them in brackets or one a line, as Python writes it. False if it is something else.
bool read_python_calls(std::string_view text, std::vector<AnswerPart>& out);

}  // namespace ingot
