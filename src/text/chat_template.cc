#include "text/chat_template.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/jinja/evaluator.h"
#include "text/tokenizer.h"

namespace ingot {
namespace {

constexpr size_t kMostSource = 1 << 20;
constexpr uint64_t kLeastWork = uint64_t{64} << 20, kWorkPerByte = 256;  // units of jinja::Budget

// Reasoning is known by three names; the reference makes it readable under all that templates ask for.
nlohmann::ordered_json with_reasoning(const nlohmann::ordered_json& message) {
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    auto it = message.find(key);
    if (it == message.end() || it->is_null()) continue;
    nlohmann::ordered_json out{{"thinking", *it}};
    nlohmann::ordered_json reasoning = *it;
    for (const auto& [name, value] : message.items()) out[name] = value;
    out["reasoning_content"] = std::move(reasoning);
    return out;
  }
  return message;
}

}  // namespace

struct ChatTemplate::Parsed {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string name) : source_(source), name_(std::move(name)) {
  if (source.size() > kMostSource)
    bad_input("the template has " + std::to_string(source.size()) + " bytes, more than " + std::to_string(kMostSource), name_, "use the model's own template");
  try {
    parsed_ = std::make_unique<const Parsed>(Parsed{jinja::parse(repair_utf8(source))});
  } catch (const jinja::Refusal& refusal) {
    bad_input("the template has a construct that is not supported or wrong: " + refusal.what, name_ + ":" + std::to_string(refusal.line),
              "give another template, or rewrite this part with what docs/chat-templates.md lists");
  }
}

ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const nlohmann::ordered_json& variables, std::time_t now) const {
  auto messages = variables.is_object() ? variables.find("messages") : variables.end();
  if (!variables.is_object() || messages == variables.end() || !messages->is_array()) bad_input("there is no list of messages", name_, "give \"messages\" as a list of objects");
  for (const auto& message : *messages)
    if (!message.is_object()) bad_input("a message is no object", name_, "give each message a role and content");
  try {
    jinja::Budget reading(uint64_t{1} << 32);
    std::vector<std::pair<std::string, jinja::Value>> globals;
    for (const auto& [key, value] : variables.items())
      if (key != "messages") globals.emplace_back(key, jinja::from_json(value, reading));
    nlohmann::ordered_json aliased = nlohmann::ordered_json::array();
    for (const auto& message : *messages) aliased.push_back(with_reasoning(message));
    globals.emplace_back("messages", jinja::from_json(aliased, reading));
    jinja::Budget budget(kLeastWork + kWorkPerByte * reading.spent());
    jinja::Evaluator evaluator(budget, now);
    evaluator.set_global("tools", jinja::Value(jinja::None{}));
    evaluator.set_global("documents", jinja::Value(jinja::None{}));
    evaluator.set_global("add_generation_prompt", jinja::Value(false));
    for (auto& [key, value] : globals) evaluator.set_global(key, std::move(value));
    std::string out;
    evaluator.run(parsed_->block, out);
    return out;
  } catch (const jinja::Failure& failure) {
    if (failure.raised) bad_input("the model's template refuses the conversation: " + failure.what, name_, "give messages in the order that the model knows");
    bad_input("the template fails on this conversation: " + failure.what, name_, "check the messages and tools; else use another template");
  }
}

}  // namespace ingot
