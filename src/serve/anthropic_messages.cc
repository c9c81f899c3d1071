// Anthropic's messages and count_tokens.
#include <fmt/format.h>

#include "serve/chat_run.h"
#include "serve/ranking_answer.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

std::string block_text(const Json& block) {
  if (block.is_string()) return block.get<std::string>();
  return content_text(block, "messages");
}

// A message of this API as one or more of OpenAI's: results of tools are messages of their own there.
void take_message(const Json& message, Json& out) {
  if (!message.is_object()) refuse_field("messages", "each message must be an object");
  const std::string role = text_field(message, "role");
  if (role != "user" && role != "assistant") refuse_field("messages", fmt::format("the role \"{}\" is neither user nor assistant", role));
  const Json* content = field(message, "content");
  if (!content) refuse_field("messages", "a message has no content");
  if (content->is_string()) {
    out.push_back({{"role", role}, {"content", *content}});
    return;
  }
  if (!content->is_array()) refuse_field("messages", "the content of a message must be a text or a list of blocks");
  std::string text, thinking;
  Json calls = Json::array();
  for (const Json& block : *content) {
    if (!block.is_object()) refuse_field("messages", "a block must be an object");
    const std::string type = text_field(block, "type");
    if (type == "text") {
      const std::string more = text_field(block, "text");
      text += (text.empty() || more.empty() ? "" : "\n") + more;
    } else if (type == "thinking") {
      thinking += text_field(block, "thinking");
    } else if (type == "tool_use") {
      const Json* input = field(block, "input");
      calls.push_back({{"id", text_field(block, "id")}, {"type", "function"},
                       {"function", {{"name", text_field(block, "name")}, {"arguments", input && input->is_object() ? *input : Json::object()}}}});
    } else if (type == "tool_result") {
      const Json* result = field(block, "content");
      std::string words = result ? block_text(*result) : "";
      if (flag_field(block, "is_error", false)) words = "Error: " + words;
      out.push_back({{"role", "tool"}, {"tool_call_id", text_field(block, "tool_use_id")}, {"content", words}});
    } else {
      refuse_field("messages", fmt::format("a block of the type \"{}\" is sent, but this model reads text alone", type));
    }
  }
  if (text.empty() && calls.empty() && thinking.empty()) return;
  Json one = {{"role", role}, {"content", text}};
  if (!thinking.empty()) one["reasoning_content"] = thinking;
  if (!calls.empty()) one["tool_calls"] = std::move(calls);
  out.push_back(std::move(one));
}

void read_conversation(const Json& body, ChatTask& task) {
  const Json* messages = field(body, "messages");
  if (!messages || !messages->is_array() || messages->empty()) refuse_field("messages", "\"messages\" must be a list with at least one message");
  if (const Json* system = field(body, "system")) task.messages.push_back({{"role", "system"}, {"content", block_text(*system)}});
  for (const Json& message : *messages) take_message(message, task.messages);
  Json openai = Json::object();
  if (const Json* tools = field(body, "tools")) {
    if (!tools->is_array()) refuse_field("tools", "\"tools\" must be a list");
    openai["tools"] = Json::array();
    for (const Json& tool : *tools) {
      if (!tool.is_object()) refuse_field("tools", "each tool must be an object");
      const std::string type = text_field(tool, "type", "custom");
      if (type != "custom") refuse_field("tools", fmt::format("tools of the type \"{}\" are not run here", type));
      const Json* schema = field(tool, "input_schema");
      openai["tools"].push_back({{"type", "function"}, {"function", {{"name", text_field(tool, "name")}, {"description", text_field(tool, "description")},
                                                                     {"parameters", schema ? *schema : Json{{"type", "object"}}}}}});
    }
  }
  if (const Json* choice = field(body, "tool_choice")) {
    if (!choice->is_object()) refuse_field("tool_choice", "\"tool_choice\" must be an object");
    const std::string type = text_field(*choice, "type");
    if (type == "auto" || type == "none") openai["tool_choice"] = type;
    else if (type == "any") openai["tool_choice"] = "required";
    else if (type == "tool") openai["tool_choice"] = {{"type", "function"}, {"function", {{"name", text_field(*choice, "name")}}}};
    else refuse_field("tool_choice", "the type must be auto, any, tool or none");
    openai["parallel_tool_calls"] = !flag_field(*choice, "disable_parallel_tool_use", false);
  }
  read_tools(openai, task);
  if (const Json* thinking = field(body, "thinking"); thinking && thinking->is_object()) task.variables["enable_thinking"] = text_field(*thinking, "type") != "disabled";
}

void read_limits(const Json& body, ChatTask& task) {
  if (!field(body, "max_tokens")) refuse_field("max_tokens", "\"max_tokens\" is missing");
  Json sampling = Json::object();
  for (const char* key : {"temperature", "top_p", "top_k"})
    if (const Json* value = field(body, key)) sampling[key] = *value;
  read_sampling(sampling, task.generation, *task.model);
  task.generation.limit = whole_field(body, "max_tokens", 1, 1, 1 << 30);
  task.generation.stop = read_stop(body, "stop_sequences");
}

const char* stop_reason(const ChatOutcome& outcome) {
  if (outcome.reason == "length") return "max_tokens";
  if (outcome.reason == "tool_calls") return "tool_use";
  if (outcome.reason == "content_filter") return "refusal";
  return outcome.stop.empty() ? "end_turn" : "stop_sequence";
}

Json usage_of(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens}, {"cache_creation_input_tokens", 0}, {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.generated_tokens}};
}

Json message_object(const Call& call, const ServedModel& model) {
  return {{"id", "msg_" + call.id()}, {"type", "message"}, {"role", "assistant"}, {"model", model.name}, {"content", Json::array()},
          {"stop_reason", nullptr}, {"stop_sequence", nullptr}};
}

Json empty_block(const Call& call, const AnswerPart& part, size_t calls) {
  if (part.kind == AnswerPart::kReasoning) return {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}};
  if (part.kind == AnswerPart::kToolCall) return {{"type", "tool_use"}, {"id", "toolu_" + tool_call_id(call, 0, calls)}, {"name", part.name}, {"input", Json::object()}};
  return {{"type", "text"}, {"text", ""}};
}

Json stop_object(const ChatOutcome& outcome) {
  return {{"stop_reason", stop_reason(outcome)}, {"stop_sequence", outcome.stop.empty() ? Json() : Json(outcome.stop)}};
}

// The events of a stream: blocks are opened when their kind of text begins, and closed when another does.
class Events {
 public:
  Events(Call& call, const ServedModel& model, int64_t prompt) : call_(call) {
    call.begin_events();
    Json message = message_object(call, model);
    message["usage"] = {{"input_tokens", prompt}, {"cache_creation_input_tokens", 0}, {"cache_read_input_tokens", 0}, {"output_tokens", 1}};
    send("message_start", {{"message", std::move(message)}});
  }
  void add(const AnswerPart& part) {
    if (part.kind != AnswerPart::kToolCall && part.text.empty()) return;
    if (!open_ || part.kind != kind_ || part.kind == AnswerPart::kToolCall) {
      close();
      kind_ = part.kind;
      open_ = true;
      send("content_block_start", {{"index", index_}, {"content_block", empty_block(call_, part, calls_)}});
      if (index_ == 0) send("ping", Json::object());
    }
    Json delta;
    if (part.kind == AnswerPart::kToolCall) {
      ++calls_;
      delta = {{"type", "input_json_delta"}, {"partial_json", part.arguments}};
    } else if (part.kind == AnswerPart::kReasoning) {
      delta = {{"type", "thinking_delta"}, {"thinking", part.text}};
    } else {
      delta = {{"type", "text_delta"}, {"text", part.text}};
    }
    send("content_block_delta", {{"index", index_}, {"delta", std::move(delta)}});
  }
  void finish(const ChatOutcome& outcome, const Usage& usage) {
    close();
    send("message_delta", {{"delta", stop_object(outcome)}, {"usage", usage_of(usage)}});
    send("message_stop", Json::object());
    call_.exchange().finish();
  }

 private:
  void send(const char* type, Json data) {
    Json event = {{"type", type}};
    event.update(data);
    call_.send_event(type, event);
  }
  void close() {
    if (open_) send("content_block_stop", {{"index", index_++}});
    open_ = false;
  }
  Call& call_;
  size_t index_ = 0, calls_ = 0;
  bool open_ = false;
  AnswerPart::Kind kind_ = AnswerPart::kContent;
};

void messages(Service& service, Call& call) {
  const Json& body = call.body();
  ChatTask task;
  task.model = service.models().acquire(text_field(body, "model"));
  const bool streams = flag_field(body, "stream", false);
  read_conversation(body, task);
  task.model = answering_model(service, std::move(task.model), task.messages);
  const ServedModel& model = *task.model;
  call.answered_by(model.name, model.hash);
  if (!model.engine) {  // a ranking, in words
    if (!model.ai) refuse_field("model", fmt::format("\"{}\" does not converse", model.name));
    const Asked asked = asked_of(task.messages, "messages");
    const auto ranking = ranking_answer(*model.ai, model.name, asked.last, service.subjects(), asked.earlier);
    service.flywheel().remember("msg_" + call.id(), model.name, asked.last);
    ChatOutcome outcome;
    if (stopped_by_rails(ranking)) outcome.reason = "content_filter";
    const AnswerPart part{AnswerPart::kContent, in_words(ranking), "", ""};
    if (streams) {
      Events events(call, model, 0);
      events.add(part);
      return events.finish(outcome, call.usage);
    }
    Json out = message_object(call, model);
    out["content"].push_back({{"type", "text"}, {"text", part.text}});
    out.update(stop_object(outcome));
    out["usage"] = usage_of(call.usage);
    return call.reply(out);
  }
  read_limits(body, task);
  prepare_chat(service, task);
  service.flywheel().remember("msg_" + call.id(), model.name, task.question);
  ChatRun run(service, call, task);
  run.wait_for_first();
  if (streams) {
    Events events(call, model, static_cast<int64_t>(task.generation.prompt.size()));
    for (auto parts = run.next(); !parts.empty(); parts = run.next())
      for (const ChatEvent& event : parts) events.add(event.part);
    return events.finish(run.outcome(0), call.usage);
  }
  const auto answers = whole_answers(run);
  const ChatAnswer& answer = answers[0];
  Json out = message_object(call, model);
  if (!answer.reasoning.empty()) out["content"].push_back({{"type", "thinking"}, {"thinking", answer.reasoning}, {"signature", ""}});
  if (!answer.content.empty()) out["content"].push_back({{"type", "text"}, {"text", answer.content}});
  for (size_t i = 0; i < answer.calls.size(); ++i) {
    Json block = empty_block(call, answer.calls[i], i);
    Json input = Json::parse(answer.calls[i].arguments, nullptr, false);
    if (input.is_object()) block["input"] = std::move(input);
    out["content"].push_back(std::move(block));
  }
  out.update(stop_object(answer.outcome));
  out["usage"] = usage_of(call.usage);
  call.reply(out);
}

void count_tokens(Service& service, Call& call) {
  ChatTask task;
  task.model = generating_model(service, call.body());
  call.answered_by(task.model->name, task.model->hash);
  read_conversation(call.body(), task);
  call.reply({{"input_tokens", conversation_tokens(task).size()}});
}

constexpr std::string_view kMessages = R"({"type":"object","required":["max_tokens","messages"],"properties":{"model":{"type":"string"},
  "max_tokens":{"type":"integer","minimum":1},"system":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"object"}}]},
  "messages":{"type":"array","minItems":1,"items":{"type":"object","required":["role","content"],"properties":{"role":{"enum":["user","assistant"]},
    "content":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"object","required":["type"],"properties":{"type":{"enum":["text","tool_use","tool_result","thinking"]}}}}]}}}},
  "stop_sequences":{"type":"array","items":{"type":"string"}},"stream":{"type":"boolean"},"temperature":{"type":"number","minimum":0,"maximum":1},
  "top_p":{"type":"number","minimum":0,"maximum":1},"top_k":{"type":"integer","minimum":0},
  "tools":{"type":"array","items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"description":{"type":"string"},"input_schema":{"type":"object"}}}},
  "tool_choice":{"type":"object","required":["type"],"properties":{"type":{"enum":["auto","any","tool","none"]},"name":{"type":"string"}}},
  "thinking":{"type":"object"},"metadata":{"type":"object"}}})";
constexpr std::string_view kCount = R"({"type":"object","required":["messages"],"properties":{"model":{"type":"string"},
  "system":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"object"}}]},"messages":{"type":"array","minItems":1,"items":{"type":"object"}},
  "tools":{"type":"array","items":{"type":"object"}},"tool_choice":{"type":"object"},"thinking":{"type":"object"}}})";

}  // namespace

void add_anthropic_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/messages", Scope::kInfer, "Continues a conversation, as Anthropic's API has it.", kMessages, messages, false, ApiStyle::kAnthropic, "text/event-stream"});
  routes.push_back({"POST", "/v1/messages/count_tokens", Scope::kInfer, "How many tokens a conversation takes.", kCount, count_tokens, false, ApiStyle::kAnthropic});
}

}  // namespace ingot
