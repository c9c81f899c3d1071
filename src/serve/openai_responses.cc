// OpenAI's responses. Nothing is stored, so "store": true and "previous_response_id" are refused.
#include <fmt/format.h>

#include "serve/answer_constraint.h"
#include "serve/chat_run.h"
#include "serve/ranking_answer.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

void take_item(const Json& item, Json& messages) {
  if (!item.is_object()) refuse_field("input", "each item of \"input\" must be an object");
  const std::string type = text_field(item, "type", "message");
  if (type == "message") {
    const Json* content = field(item, "content");
    messages.push_back({{"role", text_field(item, "role", "user")}, {"content", content ? content_text(*content, "input") : ""}});
  } else if (type == "function_call") {
    const Json call = {{"id", text_field(item, "call_id")}, {"type", "function"}, {"function", {{"name", text_field(item, "name")}, {"arguments", text_field(item, "arguments", "{}")}}}};
    // Calls that stand side by side were made in one breath.
    if (!messages.empty() && messages.back()["role"] == "assistant") {
      Json& last = messages.back();
      if (!last.contains("tool_calls")) last["tool_calls"] = Json::array();
      last["tool_calls"].push_back(call);
    } else {
      messages.push_back({{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({call})}});
    }
  } else if (type == "function_call_output") {
    const Json* output = field(item, "output");
    messages.push_back({{"role", "tool"}, {"tool_call_id", text_field(item, "call_id")}, {"content", output ? content_text(*output, "input") : ""}});
  } else if (type != "reasoning") {  // what a model thought before is not read again
    refuse_field("input", fmt::format("items of the type \"{}\" are not known here", type), "unsupported_content");
  }
}

Json tools_of(const Json& body) {
  Json out = Json::object();
  if (const Json* tools = field(body, "tools")) {
    if (!tools->is_array()) refuse_field("tools", "\"tools\" must be a list");
    out["tools"] = Json::array();
    for (const Json& tool : *tools) {
      if (!tool.is_object() || text_field(tool, "type") != "function") refuse_field("tools", "only tools of the type \"function\" can be offered", "unsupported_tool");
      Json function = {{"name", text_field(tool, "name")}, {"description", text_field(tool, "description")}};
      if (const Json* parameters = field(tool, "parameters")) function["parameters"] = *parameters;
      out["tools"].push_back({{"type", "function"}, {"function", std::move(function)}});
    }
  }
  for (const char* key : {"tool_choice", "parallel_tool_calls"})
    if (const Json* value = field(body, key)) out[key] = *value;
  return out;
}

Json value_or(const Json& body, const char* key, Json otherwise) {
  const Json* value = field(body, key);
  return value ? *value : std::move(otherwise);
}

// The object with everything but its output.
Json response_object(const Call& call, const Json& body, const ServedModel& model, const char* status) {
  return {{"id", "resp_" + call.id()}, {"object", "response"}, {"created_at", call.created()}, {"status", status}, {"background", false}, {"error", nullptr},
          {"incomplete_details", nullptr}, {"instructions", value_or(body, "instructions", nullptr)}, {"max_output_tokens", value_or(body, "max_output_tokens", nullptr)},
          {"model", model.name}, {"output", Json::array()}, {"parallel_tool_calls", value_or(body, "parallel_tool_calls", true)}, {"previous_response_id", nullptr},
          {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}}, {"store", false}, {"temperature", value_or(body, "temperature", 1.0)},
          {"text", value_or(body, "text", {{"format", {{"type", "text"}}}})}, {"tool_choice", value_or(body, "tool_choice", "auto")},
          {"tools", value_or(body, "tools", Json::array())}, {"top_p", value_or(body, "top_p", 1.0)}, {"truncation", "disabled"}, {"usage", nullptr},
          {"user", value_or(body, "user", nullptr)}, {"metadata", value_or(body, "metadata", Json::object())}};
}

// Gathers the output items, and tells of them as they grow when the client streams.
class Output {
 public:
  Output(Call& call, Json response, bool streams) : call_(call), response_(std::move(response)), streams_(streams) {
    if (!streams_) return;
    call_.begin_events();
    event("response.created", {{"response", response_}});
    event("response.in_progress", {{"response", response_}});
  }

  void add(const AnswerPart& part) {
    if (part.kind == AnswerPart::kToolCall) return call(part);
    if (part.text.empty()) return;
    if (!open_ || kind_ != part.kind) {
      close();
      open(part.kind);
    }
    text_ += part.text;
    if (kind_ == AnswerPart::kReasoning) event("response.reasoning_text.delta", {{"item_id", item_["id"]}, {"output_index", index()}, {"content_index", 0}, {"delta", part.text}});
    else event("response.output_text.delta", {{"item_id", item_["id"]}, {"output_index", index()}, {"content_index", 0}, {"delta", part.text}, {"logprobs", Json::array()}});
  }

  void finish(const ChatOutcome& outcome) {
    close();
    const bool cut = outcome.reason == "length", filtered = outcome.reason == "content_filter";
    response_["status"] = cut || filtered ? "incomplete" : "completed";
    if (cut) response_["incomplete_details"] = {{"reason", "max_output_tokens"}};
    if (filtered) response_["incomplete_details"] = {{"reason", "content_filter"}};
    const Usage& usage = call_.usage;
    response_["usage"] = {{"input_tokens", usage.prompt_tokens}, {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}}, {"output_tokens", usage.generated_tokens},
                          {"output_tokens_details", {{"reasoning_tokens", 0}}}, {"total_tokens", usage.prompt_tokens + usage.generated_tokens}};
    if (!streams_) return call_.reply(response_);
    event(cut || filtered ? "response.incomplete" : "response.completed", {{"response", response_}});
    call_.exchange().finish();
  }

 private:
  size_t index() const { return response_["output"].size(); }
  std::string id(const char* prefix) const { return prefix + call_.id() + fmt::format("{:02x}", index()); }

  void event(const char* type, Json data) {
    if (!streams_) return;
    Json whole = {{"type", type}, {"sequence_number", sequence_++}};
    whole.update(data);
    call_.send_event(type, whole);
  }

  void open(AnswerPart::Kind kind) {
    kind_ = kind;
    open_ = true;
    text_.clear();
    if (kind == AnswerPart::kReasoning) {
      item_ = {{"id", id("rs_")}, {"type", "reasoning"}, {"status", "in_progress"}, {"summary", Json::array()}, {"content", Json::array()}};
      event("response.output_item.added", {{"output_index", index()}, {"item", item_}});
      return;
    }
    item_ = {{"id", id("msg_")}, {"type", "message"}, {"status", "in_progress"}, {"role", "assistant"}, {"content", Json::array()}};
    event("response.output_item.added", {{"output_index", index()}, {"item", item_}});
    event("response.content_part.added", {{"item_id", item_["id"]}, {"output_index", index()}, {"content_index", 0}, {"part", part("")}});
  }

  static Json part(const std::string& text) { return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}}; }

  void close() {
    if (!open_) return;
    open_ = false;
    item_["status"] = "completed";
    if (kind_ == AnswerPart::kReasoning) {
      item_["content"].push_back({{"type", "reasoning_text"}, {"text", text_}});
      event("response.reasoning_text.done", {{"item_id", item_["id"]}, {"output_index", index()}, {"content_index", 0}, {"text", text_}});
    } else {
      item_["content"].push_back(part(text_));
      event("response.output_text.done", {{"item_id", item_["id"]}, {"output_index", index()}, {"content_index", 0}, {"text", text_}, {"logprobs", Json::array()}});
      event("response.content_part.done", {{"item_id", item_["id"]}, {"output_index", index()}, {"content_index", 0}, {"part", part(text_)}});
    }
    event("response.output_item.done", {{"output_index", index()}, {"item", item_}});
    response_["output"].push_back(std::move(item_));
  }

  void call(const AnswerPart& part) {
    close();
    Json item = {{"id", id("fc_")}, {"type", "function_call"}, {"status", "in_progress"}, {"call_id", "call_" + tool_call_id(call_, 0, calls_++)}, {"name", part.name}, {"arguments", ""}};
    event("response.output_item.added", {{"output_index", index()}, {"item", item}});
    event("response.function_call_arguments.delta", {{"item_id", item["id"]}, {"output_index", index()}, {"delta", part.arguments}});
    event("response.function_call_arguments.done", {{"item_id", item["id"]}, {"output_index", index()}, {"name", part.name}, {"arguments", part.arguments}});
    item["status"] = "completed";
    item["arguments"] = part.arguments;
    event("response.output_item.done", {{"output_index", index()}, {"item", item}});
    response_["output"].push_back(std::move(item));
  }

  Call& call_;
  Json response_, item_;
  bool streams_, open_ = false;
  AnswerPart::Kind kind_ = AnswerPart::kContent;
  std::string text_;
  size_t calls_ = 0, sequence_ = 0;
};

void responses(Service& service, Call& call) {
  const Json& body = call.body();
  ChatTask task;
  task.model = service.models().acquire(text_field(body, "model"));
  if (flag_field(body, "store", false)) refuse_field("store", "responses are not stored here: send \"store\": false", "unsupported");
  if (field(body, "previous_response_id")) refuse_field("previous_response_id", "responses are not stored here: send the whole conversation as \"input\"", "unsupported");
  if (flag_field(body, "background", false)) refuse_field("background", "responses are not stored here, so none runs in the background", "unsupported");
  if (text_field(body, "truncation", "disabled") != "disabled") refuse_field("truncation", "a conversation is never cut here: send \"truncation\": \"disabled\"", "unsupported");
  if (field(body, "instructions")) task.messages.push_back({{"role", "system"}, {"content", text_field(body, "instructions")}});
  const Json* input = field(body, "input");
  if (!input || (!input->is_string() && !input->is_array()) || input->empty()) refuse_field("input", "\"input\" must be a text or a list of items");
  if (input->is_string()) task.messages.push_back({{"role", "user"}, {"content", *input}});
  else
    for (const Json& item : *input) take_item(item, task.messages);
  task.model = answering_model(service, std::move(task.model), task.messages);
  const ServedModel& model = *task.model;
  call.answered_by(model.name, model.hash);
  const bool streams = flag_field(body, "stream", false);
  if (!model.engine) {
    if (!model.ai) refuse_field("model", fmt::format("\"{}\" does not converse", model.name));
    const Asked asked = asked_of(task.messages, "input");
    const auto ranking = ranking_answer(*model.ai, model.name, asked.last, service.subjects(), asked.earlier);
    service.flywheel().remember("resp_" + call.id(), model.name, asked.last);
    Output output(call, response_object(call, body, model, "in_progress"), streams);
    output.add({AnswerPart::kContent, in_words(ranking), "", ""});
    ChatOutcome outcome;
    if (stopped_by_rails(ranking)) outcome.reason = "content_filter";
    return output.finish(outcome);
  }
  read_sampling(body, task.generation, model);
  task.generation.limit = whole_field(body, "max_output_tokens", 0, 1, 1 << 30);
  read_tools(tools_of(body), task);
  if (const Json* text = field(body, "text"); text && text->is_object())
    if (const Json* format = field(*text, "format")) task.form = read_response_format(*format, "text");
  if (const Json* reasoning = field(body, "reasoning"); reasoning && reasoning->is_object() && field(*reasoning, "effort"))
    task.variables["reasoning_effort"] = text_field(*reasoning, "effort");
  prepare_chat(service, task);
  service.flywheel().remember("resp_" + call.id(), model.name, task.question);
  ChatRun run(service, call, task);
  run.wait_for_first();
  Output output(call, response_object(call, body, model, "in_progress"), streams);
  for (auto events = run.next(); !events.empty(); events = run.next())
    for (const ChatEvent& event : events) output.add(event.part);
  output.finish(run.outcome(0));
}

constexpr std::string_view kResponsesBody = R"({"type":"object","required":["input"],"properties":{"model":{"type":"string"},
  "input":{"anyOf":[{"type":"string","minLength":1},{"type":"array","minItems":1,"items":{"type":"object"}}]},"instructions":{"type":"string"},
  "max_output_tokens":{"type":"integer","minimum":1},"stream":{"type":"boolean"},"store":{"type":"boolean"},"previous_response_id":{"type":"string"},
  "temperature":{"type":"number","minimum":0},"top_p":{"type":"number","minimum":0,"maximum":1},"tools":{"type":"array","items":{"type":"object"}},
  "tool_choice":{"anyOf":[{"enum":["none","auto","required"]},{"type":"object"}]},"parallel_tool_calls":{"type":"boolean"},"text":{"type":"object"},
  "reasoning":{"type":"object"},"truncation":{"enum":["disabled","auto"]},"background":{"type":"boolean"},"user":{"type":"string"},
  "top_k":{"type":"integer"},"stop":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},"min_p":{"type":"number"},"typical_p":{"type":"number"},"presence_penalty":{"type":"number"},"frequency_penalty":{"type":"number"},"repetition_penalty":{"type":"number"},"repeat_penalty":{"type":"number"},
  "repeat_last_n":{"type":"integer"},"dry_multiplier":{"type":"number"},"dry_base":{"type":"number"},"dry_allowed_length":{"type":"integer"},
  "dry_penalty_last_n":{"type":"integer"},"dry_sequence_breakers":{"type":"array","items":{"type":"string"}},"seed":{"type":"integer"},
  "logit_bias":{"type":"object","additionalProperties":{"type":"number"}},"ignore_eos":{"type":"boolean"},"metadata":{"type":"object"}}})";

}  // namespace

void add_responses_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/responses", Scope::kInfer, "Continues a conversation, as OpenAI's newer API has it.", kResponsesBody, responses, false, ApiStyle::kOpenAi, "text/event-stream"});
}

}  // namespace ingot
