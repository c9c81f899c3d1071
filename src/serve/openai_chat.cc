// OpenAI's chat completions.
#include <fmt/format.h>

#include "serve/answer_constraint.h"
#include "serve/chat_run.h"
#include "serve/openai_shapes.h"
#include "serve/ranking_answer.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

const Json& messages_of(const Json& body) {
  const Json* messages = field(body, "messages");
  if (!messages || !messages->is_array() || messages->empty()) refuse_field("messages", "\"messages\" must be a list with at least one message");
  return *messages;
}

// Chunks of one stream: the same head on all of them.
class Chunks {
 public:
  Chunks(Call& call, const ServedModel& model, bool usage) : call_(call), usage_(usage) {
    head_ = {{"id", "chatcmpl-" + call.id()}, {"object", "chat.completion.chunk"}, {"created", call.created()}, {"model", model.name},
             {"system_fingerprint", fingerprint_of(model)}, {"choices", Json::array()}};
  }
  void send(int choice, Json delta, Json finish, const std::vector<GeneratedToken>* tokens = nullptr, const Tokenizer* tokenizer = nullptr) {
    Json one = {{"index", choice}, {"delta", std::move(delta)}, {"logprobs", tokens && tokenizer ? chat_logprobs(*tokens, *tokenizer) : Json()}, {"finish_reason", std::move(finish)}};
    head_["choices"] = Json::array({std::move(one)});
    if (usage_) head_["usage"] = nullptr;
    line();
  }
  void finish(const Json& usage) {
    if (usage_) {
      head_["choices"] = Json::array();
      head_["usage"] = usage;
      line();
    }
    waiting_ += "data: [DONE]\n\n";
    flush();
    call_.exchange().finish();
  }
  // What came together leaves together.
  void flush() {
    if (!waiting_.empty()) call_.exchange().write(waiting_);
    waiting_.clear();
  }

 private:
  void line() { waiting_.append("data: ").append(dump(head_)).append("\n\n"); }
  Call& call_;
  Json head_;
  bool usage_;
  std::string waiting_;
};

bool wants_usage(const Json& body) {
  const Json* options = field(body, "stream_options");
  return options && options->is_object() && flag_field(*options, "include_usage", false);
}

void rank(Service& service, Call& call, const ServedModel& model, const Asked& asked) {
  const Json *format = field(call.body(), "response_format"), *choice = field(call.body(), "tool_choice");
  if (format && format->is_object() && text_field(*format, "type", "text") != "text") refuse_field("response_format", fmt::format("\"{}\" ranks and says so in words: POST /classify answers in JSON", model.name));
  if (choice && (choice->is_object() || *choice == "required")) refuse_field("tool_choice", fmt::format("\"{}\" ranks and calls no tools", model.name));
  const nlohmann::json result = ranking_answer(*model.ai, model.name, asked.last, service.subjects(), asked.earlier);
  const std::string answer = in_words(result), id = "chatcmpl-" + call.id();
  const char* finish = stopped_by_rails(result) ? "content_filter" : "stop";
  service.flywheel().remember(id, model.name, asked.last);
  if (flag_field(call.body(), "stream", false)) {
    Chunks chunks(call, model, wants_usage(call.body()));
    call.begin_events();
    chunks.send(0, {{"role", "assistant"}, {"content", ""}}, nullptr);
    chunks.send(0, {{"content", answer}}, nullptr);
    chunks.send(0, Json::object(), finish);
    return chunks.finish(usage_object(call.usage));
  }
  // A ranking is not generated token by token: its usage is zero.
  call.reply({{"id", id}, {"object", "chat.completion"}, {"created", call.created()}, {"model", model.name}, {"system_fingerprint", fingerprint_of(model)},
              {"choices", {{{"index", 0}, {"message", {{"role", "assistant"}, {"content", answer}}}, {"logprobs", nullptr}, {"finish_reason", finish}}}},
              {"guard", Json(result.value("guard", nlohmann::json()))}, {"usage", usage_object(call.usage)}});
}

Json call_object(const Call& call, int choice, size_t number, const AnswerPart& part) {
  return {{"id", tool_call_id(call, choice, number)}, {"type", "function"}, {"function", {{"name", part.name}, {"arguments", part.arguments}}}};
}

void stream(Service& service, Call& call, ChatTask& task) {
  ChatRun run(service, call, task);
  run.wait_for_first();
  const bool scores = task.generation.top_logprobs >= 0;
  const Tokenizer& tokenizer = task.model->engine->tokenizer();
  Chunks chunks(call, *task.model, wants_usage(call.body()));
  call.begin_events();
  for (int i = 0; i < run.choices(); ++i) chunks.send(i, {{"role", "assistant"}, {"content", ""}}, nullptr);
  chunks.flush();
  std::vector<size_t> calls(static_cast<size_t>(run.choices()));
  for (auto events = run.next(); !events.empty(); events = run.next()) {
    for (const ChatEvent& event : events) {
      Json delta = Json::object();
      if (event.part.kind == AnswerPart::kContent) delta = {{"content", event.part.text}};
      if (event.part.kind == AnswerPart::kReasoning) delta = {{"reasoning_content", event.part.text}};
      if (event.part.kind == AnswerPart::kToolCall) {
        const size_t number = calls[static_cast<size_t>(event.choice)]++;
        Json one = call_object(call, event.choice, number, event.part);
        Json whole = {{"index", number}};
        whole.update(one);
        delta = {{"tool_calls", Json::array({whole})}};
      }
      chunks.send(event.choice, std::move(delta), nullptr, scores ? &event.tokens : nullptr, &tokenizer);
    }
    chunks.flush();
  }
  for (int i = 0; i < run.choices(); ++i) chunks.send(i, Json::object(), run.outcome(i).reason);
  chunks.finish(usage_object(call.usage));
}

void whole(Service& service, Call& call, ChatTask& task) {
  ChatRun run(service, call, task);
  const auto answers = whole_answers(run);
  const Tokenizer& tokenizer = task.model->engine->tokenizer();
  Json choices = Json::array();
  Json guard = task.guard;
  for (size_t i = 0; i < answers.size(); ++i) {
    const ChatAnswer& answer = answers[i];
    Json message = {{"role", "assistant"}, {"content", answer.content}, {"refusal", nullptr}};
    if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
    if (!answer.calls.empty()) {
      if (answer.content.empty()) message["content"] = nullptr;
      message["tool_calls"] = Json::array();
      for (size_t c = 0; c < answer.calls.size(); ++c) message["tool_calls"].push_back(call_object(call, static_cast<int>(i), c, answer.calls[c]));
    }
    if (!answer.outcome.rail.empty() && task.refusal.empty()) guard = {{"allowed", false}, {"rail", answer.outcome.rail}, {"reason", answer.outcome.rail_reason}};
    choices.push_back({{"index", i}, {"message", std::move(message)},
                       {"logprobs", task.generation.top_logprobs >= 0 ? chat_logprobs(answer.tokens, tokenizer) : Json()}, {"finish_reason", answer.outcome.reason}});
  }
  Json out = {{"id", "chatcmpl-" + call.id()}, {"object", "chat.completion"}, {"created", call.created()}, {"model", task.model->name},
              {"system_fingerprint", fingerprint_of(*task.model)}, {"choices", std::move(choices)}, {"usage", usage_object(call.usage)}};
  if (!guard.is_null()) out["guard"] = guard;
  call.reply(out);
}

void chat(Service& service, Call& call) {
  const Json& body = call.body();
  Json messages = messages_of(body);
  const auto model = answering_model(service, service.models().acquire(text_field(body, "model")), messages);
  call.answered_by(model->name, model->hash);
  if (!model->engine) {
    if (!model->ai) refuse_field("model", fmt::format("\"{}\" does not converse", model->name));
    return rank(service, call, *model, asked_of(messages, "messages"));
  }
  ChatTask task;
  task.model = model;
  task.messages = std::move(messages);
  read_sampling(body, task.generation, *model);
  task.generation.limit = whole_field(body, "max_completion_tokens", whole_field(body, "max_tokens", 0, 1, 1 << 30), 1, 1 << 30);
  task.generation.choices = static_cast<int>(whole_field(body, "n", 1, 1, 128));
  if (flag_field(body, "logprobs", false)) task.generation.top_logprobs = static_cast<int>(whole_field(body, "top_logprobs", 0, 0, 20));
  else if (whole_field(body, "top_logprobs", 0, 0, 20) > 0) refuse_field("top_logprobs", "\"top_logprobs\" needs \"logprobs\": true");
  read_tools(body, task);
  task.form = read_answer_form(body);
  read_documents(body, task);
  if (const Json* more = field(body, "chat_template_kwargs"); more && more->is_object()) task.variables = *more;
  if (field(body, "reasoning_effort")) task.variables["reasoning_effort"] = text_field(body, "reasoning_effort");
  prepare_chat(service, task);
  service.flywheel().remember("chatcmpl-" + call.id(), model->name, task.question);
  if (flag_field(body, "stream", false)) stream(service, call, task);
  else whole(service, call, task);
}

constexpr std::string_view kChatBody = R"({"type":"object","required":["messages"],"properties":{
  "model":{"type":"string","description":"a name of /v1/models; without it the first"},
  "messages":{"type":"array","minItems":1,"items":{"type":"object","required":["role"],"properties":{
    "role":{"enum":["system","developer","user","assistant","tool"]},
    "content":{"anyOf":[{"type":"string"},{"type":"null"},{"type":"array","items":{"type":"object","properties":{"type":{"type":"string"},"text":{"type":"string"}}}}]},
    "tool_calls":{"type":"array","items":{"type":"object"}},"tool_call_id":{"type":"string"},"reasoning_content":{"type":"string"}}}},
  "stream":{"type":"boolean"},"stream_options":{"type":"object","properties":{"include_usage":{"type":"boolean"}}},
  "max_tokens":{"type":"integer","minimum":1},"max_completion_tokens":{"type":"integer","minimum":1},"n":{"type":"integer","minimum":1,"maximum":128},
  "temperature":{"type":"number","minimum":0},"top_p":{"type":"number","minimum":0,"maximum":1},"top_k":{"type":"integer"},"min_p":{"type":"number"},"typical_p":{"type":"number"},
  "presence_penalty":{"type":"number","minimum":-2,"maximum":2},"frequency_penalty":{"type":"number","minimum":-2,"maximum":2},"repetition_penalty":{"type":"number"},"repeat_penalty":{"type":"number"},
  "repeat_last_n":{"type":"integer"},"dry_multiplier":{"type":"number"},"dry_base":{"type":"number"},"dry_allowed_length":{"type":"integer"},
  "dry_penalty_last_n":{"type":"integer"},"dry_sequence_breakers":{"type":"array","items":{"type":"string"}},
  "seed":{"type":"integer"},"ignore_eos":{"type":"boolean"},"stop":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},
  "logit_bias":{"type":"object","additionalProperties":{"type":"number"}},"logprobs":{"type":"boolean"},"top_logprobs":{"type":"integer","minimum":0,"maximum":20},
  "tools":{"type":"array","items":{"type":"object","properties":{"type":{"const":"function"},"function":{"type":"object","required":["name"],
    "properties":{"name":{"type":"string"},"description":{"type":"string"},"parameters":{"type":"object"}}}}}},
  "tool_choice":{"anyOf":[{"enum":["none","auto","required"]},{"type":"object"}]},"parallel_tool_calls":{"type":"boolean"},
  "response_format":{"type":"object","properties":{"type":{"enum":["text","json_object","json_schema"]},"json_schema":{"type":"object"}}},
  "guided_json":{"anyOf":[{"type":"object"},{"type":"string"}]},"guided_regex":{"type":"string"},"guided_choice":{"type":"array","items":{"type":"string"}},"guided_grammar":{"type":"string"},
  "json_schema":{"anyOf":[{"type":"object"},{"type":"string"}]},"grammar":{"type":"string"},"structured_outputs":{"type":"object"},
  "documents":{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"object"}]}},"reasoning_effort":{"type":"string"},"chat_template_kwargs":{"type":"object"},"user":{"type":"string"}}})";

}  // namespace

void add_chat_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/chat/completions", Scope::kInfer, "Continues a conversation.", kChatBody, chat, false, ApiStyle::kOpenAi, "text/event-stream"});
}

}  // namespace ingot
