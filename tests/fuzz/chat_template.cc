// A chat template, rendered on one conversation with tools.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingot;
  static const auto variables = nlohmann::ordered_json::parse(R"({"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true,
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}],
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u \u00e9"}, {"role": "assistant", "content": null,
      "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]}, {"role": "tool", "content": "2", "tool_call_id": "1"},
      {"role": "user", "content": [{"type": "text", "text": "t"}]}]})");
  try {
    ChatTemplate(std::string_view(reinterpret_cast<const char*>(data), size)).render(variables, 0);
  } catch (const Error&) {
  }
  return 0;
}
