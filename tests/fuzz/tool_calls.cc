// What a model says, as any family of tool calls, cut in two: nothing is lost to a crash, and cutting changes nothing.
#include "serve/tool_calls.h"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

std::string taken(ingot::ToolFormat format, bool think, std::string_view text, size_t cut) {
  ingot::AnswerParser parser(format, think, false);
  std::string content, reasoning, calls;
  const auto add = [&](const std::vector<ingot::AnswerPart>& parts) {
    for (const auto& part : parts) {
      if (part.kind == ingot::AnswerPart::kContent) content += part.text;
      if (part.kind == ingot::AnswerPart::kReasoning) reasoning += part.text;
      if (part.kind == ingot::AnswerPart::kToolCall) calls += part.name + part.arguments + ";";
    }
  };
  add(parser.push(text.substr(0, cut)));
  add(parser.push(text.substr(cut)));
  add(parser.finish());
  return content + "\1" + reasoning + "\1" + calls;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 4096) return 0;
  const auto format = static_cast<ingot::ToolFormat>(data[0] % 6);
  const bool think = data[0] & 0x80;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (taken(format, think, text, text.size()) != taken(format, think, text, data[1] % (text.size() + 1))) std::abort();
  return 0;
}
