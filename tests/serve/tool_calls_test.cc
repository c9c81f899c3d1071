// Every family's way of calling tools, cut anywhere.
#include "serve/tool_calls.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ingot {
namespace {

struct Taken {
  std::string content, reasoning, calls;
  bool operator==(const Taken&) const = default;
};

Taken taken(ToolFormat format, const std::vector<std::string>& pieces, bool may_think = false, bool thinking = false) {
  AnswerParser parser(format, may_think, thinking);
  Taken out;
  const auto add = [&](const std::vector<AnswerPart>& parts) {
    for (const AnswerPart& part : parts) {
      if (part.kind == AnswerPart::kContent) out.content += part.text;
      if (part.kind == AnswerPart::kReasoning) out.reasoning += part.text;
      if (part.kind == AnswerPart::kToolCall) out.calls += part.name + part.arguments + ";";
    }
  };
  for (const std::string& piece : pieces) add(parser.push(piece));
  add(parser.finish());
  return out;
}

struct Case {
  const char* name;
  ToolFormat format;
  std::string text;
  Taken expected;
  bool may_think = false, thinking = false;
};

const std::vector<Case> kCases = {
    {"hermes one", ToolFormat::kHermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", {"", "", "f{\"a\":1};"}},
    {"hermes two after words", ToolFormat::kHermes, "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {\"b\": \"x\"}}\n</tool_call>",
     {"Let me see.", "", "f{};g{\"b\":\"x\"};"}},
    {"hermes list", ToolFormat::kHermes, "<tool_call>[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {}}]</tool_call>", {"", "", "f{};g{};"}},
    {"hermes unclosed", ToolFormat::kHermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}", {"", "", "f{\"a\":1};"}},
    {"hermes broken", ToolFormat::kHermes, "<tool_call>\n{\"name\": \"f\", </tool_call> end", {"<tool_call>\n{\"name\": \"f\", </tool_call> end", "", ""}},
    {"hermes nearly", ToolFormat::kHermes, "a < b and <tool_box>", {"a < b and <tool_box>", "", ""}},
    {"qwen3 thinks", ToolFormat::kHermes, "<think>\nHm, the weather.\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", {"", "\nHm, the weather.\n", "f{};"}, true},
    {"thinking begun", ToolFormat::kNone, "so be it</think>\n\nYes.", {"Yes.", "so be it", ""}, true, true},
    {"thinking unfinished", ToolFormat::kNone, "<think>and so on", {"", "and so on", ""}, true},
    {"no thinking", ToolFormat::kNone, "<b>Yes</b>", {"<b>Yes</b>", "", ""}, true},
    {"qwen3 coder", ToolFormat::kHermes, "<tool_call>\n<function=f>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
     {"", "", "f{\"city\":\"Paris\",\"days\":3};"}},
    {"llama json", ToolFormat::kLlama, "{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}", {"", "", "f{\"a\":\"b\"};"}},
    {"llama tag, two", ToolFormat::kLlama, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {\"x\": \"}\"}}", {"", "", "f{};g{\"x\":\"}\"};"}},
    {"llama function tag", ToolFormat::kLlama, "<function=f>{\"a\": 1}</function>", {"", "", "f{\"a\":1};"}},
    {"llama python", ToolFormat::kLlama, "[f(city='Paris', days=3), g()]", {"", "", "f{\"city\":\"Paris\",\"days\":3};g{};"}},
    {"llama words", ToolFormat::kLlama, "It is {\"name\": 3}.", {"It is {\"name\": 3}.", "", ""}},
    {"llama other json", ToolFormat::kLlama, "{\"answer\": 42}", {"{\"answer\": 42}", "", ""}},
    {"mistral list", ToolFormat::kMistral, "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, {\"name\": \"g\", \"arguments\": {}}]", {"", "", "f{\"a\":1};g{};"}},
    {"mistral later form", ToolFormat::kMistral, "Sure.[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{}", {"Sure.", "", "f{\"a\":1};g{};"}},
    {"gemma json fence", ToolFormat::kGemma, "```json\n{\"name\": \"f\", \"parameters\": {\"a\": 1}}\n```", {"", "", "f{\"a\":1};"}},
    {"gemma python", ToolFormat::kGemma, "```tool_code\nf(city=\"New \\\"York\\\"\", tags=[\"a\", 'b'], deep={'k': None}, yes=True)\n```",
     {"", "", "f{\"city\":\"New \\\"York\\\"\",\"tags\":[\"a\",\"b\"],\"deep\":{\"k\":null},\"yes\":true};"}},
    {"function gemma", ToolFormat::kGemma, "<start_function_call>call:f{city:<escape>Paris, France<escape>,days:3}<end_function_call>", {"", "", "f{\"city\":\"Paris, France\",\"days\":3};"}},
    {"gemma words", ToolFormat::kGemma, "```python\nprint(1)\n```", {"```python\nprint(1)\n```", "", ""}},
    {"whole", ToolFormat::kWhole, "{\"name\": \"f\", \"arguments\": {\"a\": [1, 2]}}", {"", "", "f{\"a\":[1,2]};"}},
    {"arguments as text", ToolFormat::kHermes, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", {"", "", "f{\"a\": 1};"}},
};

TEST(ToolCalls, EveryFormatCutAnywhere) {
  for (const Case& one : kCases) {
    EXPECT_EQ(taken(one.format, {one.text}, one.may_think, one.thinking), one.expected) << one.name;
    std::vector<std::string> bytes;
    for (const char c : one.text) bytes.emplace_back(1, c);
    const Taken by_bytes = taken(one.format, bytes, one.may_think, one.thinking);
    EXPECT_EQ(by_bytes, one.expected) << one.name << ", byte by byte: [" << by_bytes.content << "] [" << by_bytes.reasoning << "] [" << by_bytes.calls << "]";
    for (size_t at = 1; at < one.text.size(); ++at)
      EXPECT_EQ(taken(one.format, {one.text.substr(0, at), one.text.substr(at)}, one.may_think, one.thinking), one.expected) << one.name << " cut at " << at;
  }
}

TEST(ToolCalls, FamiliesAreToldByTheirTemplates) {
  EXPECT_EQ(tool_format_of("{{ '[TOOL_CALLS] ' }}"), ToolFormat::kMistral);
  EXPECT_EQ(tool_format_of("...<tool_call>..."), ToolFormat::kHermes);
  EXPECT_EQ(tool_format_of("<|start_header_id|> {\"name\": function name, \"parameters\": dictionary}"), ToolFormat::kLlama);
  EXPECT_EQ(tool_format_of("<start_of_turn>"), ToolFormat::kGemma);
  EXPECT_EQ(tool_format_of("<|im_start|>"), ToolFormat::kHermes);
}

}  // namespace
}  // namespace ingot
