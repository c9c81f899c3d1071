#include "serve/chat_task.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <random>

#include "core/error.h"
#include "foundry/ai.h"
#include "serve/answer_constraint.h"
#include "serve/ranking_answer.h"
#include "serve/refusal.h"
#include "serve/service.h"
#include "text/chat_template.h"
#include "text/written_specials.h"

namespace ingot {
namespace {

constexpr size_t kMostMessages = 4096, kMostTools = 256, kMostStops = 16;

std::string piece(const Tokenizer& tokenizer, int32_t id) { return id < 0 ? std::string() : std::string(tokenizer.piece(id)); }

bool good_tool_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.'; });
}

// A call in a message, with arguments as an object: templates print them as JSON.
Json call_for_template(const Json& call) {
  if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) refuse_field("messages", "a tool call needs a \"function\"");
  Json function = call["function"];
  if (const Json* arguments = field(function, "arguments"); arguments && arguments->is_string()) {
    Json parsed = Json::parse(arguments->get_ref<const std::string&>(), [](int depth, Json::parse_event_t, const Json&) { return depth < 64; }, false);
    if (parsed.is_object()) function["arguments"] = std::move(parsed);
  }
  Json out = call;
  out["function"] = std::move(function);
  return out;
}

void normalise(Json& messages) {
  if (messages.empty() || messages.size() > kMostMessages) refuse_field("messages", fmt::format("\"messages\" must hold 1 to {} messages", kMostMessages));
  for (Json& message : messages) {
    if (!message.is_object()) refuse_field("messages", "each message must be an object");
    std::string role = text_field(message, "role");
    if (role == "developer") role = "system";
    if (role == "function") role = "tool";
    if (role != "system" && role != "user" && role != "assistant" && role != "tool")
      refuse_field("messages", fmt::format("the role \"{}\" is none of system, developer, user, assistant, tool", role));
    message["role"] = role;
    const Json* content = field(message, "content");
    if (!content && role != "assistant") refuse_field("messages", fmt::format("a message of the role \"{}\" has no content", role));
    message["content"] = content ? content_text(*content, "messages") : "";
    if (const Json* calls = field(message, "tool_calls")) {
      if (!calls->is_array()) refuse_field("messages", "\"tool_calls\" must be a list");
      Json list = Json::array();
      for (const Json& call : *calls) list.push_back(call_for_template(call));
      message["tool_calls"] = std::move(list);
    } else {
      message.erase("tool_calls");
    }
  }
}

// For a model whose template knows no tools: the same in words that models of the Hermes form have learnt.
void tools_in_words(ChatTask& task) {
  if (!task.tools.empty()) {
    std::string words = "You can call functions. They are described here, one a line, as JSON:\n<tools>\n";
    for (const Json& tool : task.tools) words += dump(tool) + "\n";
    words += "</tools>\nTo call one, answer with a JSON object that holds its name and arguments, ";
    words += task.format == ToolFormat::kGemma ? "and nothing else:\n{\"name\": \"NAME\", \"parameters\": {...}}"
                                               : "between these tags:\n<tool_call>\n{\"name\": \"NAME\", \"arguments\": {...}}\n</tool_call>";
    words += "\nIf no function helps, answer in words.";
    if (task.messages[0]["role"] == "system") task.messages[0]["content"] = task.messages[0]["content"].get<std::string>() + "\n\n" + words;
    else task.messages.insert(task.messages.begin(), Json{{"role", "system"}, {"content", words}});
  }
  for (Json& message : task.messages) {
    if (message.contains("tool_calls")) {
      std::string text = message["content"].get<std::string>();
      for (const Json& call : message["tool_calls"]) {
        const Json said = {{"name", call["function"].value("name", "")}, {"arguments", call["function"].value("arguments", Json::object())}};
        text += (text.empty() ? "" : "\n") + std::string("<tool_call>\n") + dump(said) + "\n</tool_call>";
      }
      message["content"] = text;
      message.erase("tool_calls");
    }
    if (message["role"] == "tool") {
      message["role"] = "user";
      message["content"] = "<tool_response>\n" + message["content"].get<std::string>() + "\n</tool_response>";
    }
  }
}

}  // namespace

std::string content_text(const Json& content, const char* where) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) refuse_field(where, "the content of a message must be a text or a list of parts");
  std::string text;
  for (const Json& part : content) {
    if (part.is_string()) {
      text += part.get<std::string>();
      continue;
    }
    if (!part.is_object()) refuse_field(where, "a part of a message must be an object");
    const std::string type = text_field(part, "type", "text");
    if (type != "text" && type != "input_text" && type != "output_text" && type != "refusal")
      refuse_field(where, fmt::format("a part of the kind \"{}\" is sent, but this model reads text alone", type), "unsupported_content");
    const std::string more = text_field(part, type == "refusal" ? "refusal" : "text");
    text += (text.empty() || more.empty() ? "" : "\n") + more;
  }
  return text;
}

std::shared_ptr<const ServedModel> generating_model(Service& service, const Json& body) {
  auto model = service.models().acquire(text_field(body, "model"));
  if (!model->engine) refuse_field("model", fmt::format("\"{}\" does not generate text", model->name));
  return model;
}

std::vector<std::string> read_stop(const Json& body, const char* key) {
  const Json* value = field(body, key);
  if (!value) return {};
  auto stop = texts_field(body, key, kMostStops);
  for (const std::string& one : stop)
    if (one.empty() || one.size() > 1024) refuse_field(key, fmt::format("each text of \"{}\" must have 1 to 1024 bytes", key));
  return stop;
}

namespace {

// llama.cpp's names and numbers: a window of -1 is the whole text, 0 none of it.
void read_windows(const Json& body, Sampling& s) {
  const int64_t window = whole_field(body, "repeat_last_n", -1, -1, 1 << 30);
  s.penalty_window = std::max<int64_t>(0, window);
  if (window == 0) s.repetition = 1, s.presence = s.frequency = 0;
  s.dry = number_field(body, "dry_multiplier", 0, 0, 100);
  s.dry_base = number_field(body, "dry_base", s.dry_base, 1, 100);
  s.dry_allowed = whole_field(body, "dry_allowed_length", s.dry_allowed, 0, 1 << 20);
  const int64_t dry_window = whole_field(body, "dry_penalty_last_n", -1, -1, 1 << 30);
  s.dry_window = std::max<int64_t>(0, dry_window);
  if (dry_window == 0) s.dry = 0;
  if (field(body, "dry_sequence_breakers")) s.dry_breakers = texts_field(body, "dry_sequence_breakers", 64);
}

}  // namespace

void read_sampling(const Json& body, Generation& out, const ServedModel& model) {
  const Tokenizer& tokenizer = model.engine->tokenizer();
  const SamplingAdvice& advice = model.advice;
  Sampling& s = out.sampling;
  s.temperature = number_field(body, "temperature", advice.temperature.value_or(1), 0, 100);
  s.top_p = number_field(body, "top_p", advice.top_p.value_or(1), 0, 1);
  s.min_p = number_field(body, "min_p", advice.min_p.value_or(0), 0, 1);
  s.top_k = static_cast<int>(whole_field(body, "top_k", advice.top_k.value_or(0), -1, 1 << 24));
  if (s.top_k < 0) s.top_k = 0;  // vLLM's -1
  s.typical = number_field(body, "typical_p", 1, 0, 1);
  s.presence = number_field(body, "presence_penalty", 0, -2, 2);
  s.frequency = number_field(body, "frequency_penalty", 0, -2, 2);
  s.repetition = number_field(body, field(body, "repeat_penalty") ? "repeat_penalty" : "repetition_penalty", advice.repetition.value_or(1), 0.01, 100);
  read_windows(body, s);
  s.seed = field(body, "seed") ? static_cast<uint64_t>(whole_field(body, "seed", 0, INT64_MIN, INT64_MAX)) : (uint64_t{std::random_device()()} << 32 | std::random_device()());
  if (const Json* bias = field(body, "logit_bias")) {
    if (!bias->is_object()) refuse_field("logit_bias", "\"logit_bias\" must be an object of token ids and numbers");
    for (const auto& [key, value] : bias->items()) {
      int32_t id = -1;
      if (key.size() < 9 && !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; })) id = std::stoi(key);
      if (id < 0 || id >= tokenizer.size()) refuse_field("logit_bias", fmt::format("\"{}\" is no token of this model, which has {}", key, tokenizer.size()));
      if (!value.is_number() || std::abs(value.get<double>()) > 100) refuse_field("logit_bias", "each bias must be from -100 to 100");
      s.bias[id] = value.get<float>();
    }
  }
  out.stop = read_stop(body, "stop");
  out.ignore_end = flag_field(body, "ignore_eos", false);
}

void read_tools(const Json& body, ChatTask& task) {
  if (const Json* tools = field(body, "tools")) {
    if (!tools->is_array() || tools->size() > kMostTools) refuse_field("tools", fmt::format("\"tools\" must be a list of at most {} tools", kMostTools));
    for (const Json& tool : *tools) {
      if (!tool.is_object() || text_field(tool, "type", "function") != "function" || !tool.contains("function") || !tool["function"].is_object())
        refuse_field("tools", "each tool must be {\"type\": \"function\", \"function\": {...}}; other types are not run here", "unsupported_tool");
      const std::string name = text_field(tool["function"], "name");
      if (!good_tool_name(name)) refuse_field("tools", fmt::format("\"{}\" is no name for a function: 1 to 64 letters, digits, _ - or .", name));
      if (const Json* parameters = field(tool["function"], "parameters"); parameters && !parameters->is_object()) refuse_field("tools", "\"parameters\" must be a JSON schema");
      task.tools.push_back(tool);
    }
  }
  task.parallel = flag_field(body, "parallel_tool_calls", true);
  if (const Json* choice = field(body, "tool_choice")) {
    if (choice->is_string()) {
      const std::string word = choice->get<std::string>();
      if (word == "none") task.choice = ToolChoice::kNone;
      else if (word == "auto") task.choice = ToolChoice::kAuto;
      else if (word == "required") task.choice = ToolChoice::kRequired;
      else refuse_field("tool_choice", "\"tool_choice\" must be none, auto, required, or name a function");
    } else if (choice->is_object()) {
      task.choice = ToolChoice::kNamed;
      const Json* function = field(*choice, "function");
      task.tool = function && function->is_object() ? text_field(*function, "name") : text_field(*choice, "name");
      if (std::none_of(task.tools.begin(), task.tools.end(), [&](const Json& tool) { return tool["function"]["name"] == task.tool; }))
        refuse_field("tool_choice", fmt::format("there is no tool \"{}\"", task.tool));
    } else {
      refuse_field("tool_choice", "\"tool_choice\" must be none, auto, required, or name a function");
    }
    if (task.tools.empty() && (task.choice == ToolChoice::kRequired || task.choice == ToolChoice::kNamed)) refuse_field("tool_choice", "a tool must be called, but there are no tools");
  }
}

void fit_context(const ServedModel& model, Generation& generation, int64_t otherwise) {
  const int64_t context = model.engine->context(), prompt = static_cast<int64_t>(generation.prompt.size());
  if (prompt >= context)
    refuse_field("messages", fmt::format("the prompt has {} tokens; the context of \"{}\" holds {}, with at least one token of the answer", prompt, model.name, context),
                 "context_length_exceeded");
  if (generation.limit <= 0) generation.limit = model.answer_tokens > 0 ? model.answer_tokens : otherwise;
  generation.limit = std::min(generation.limit, context - prompt);
}

namespace {

// The prompt as the template writes it; special tokens in what the client sent are not special.
PromptText render_chat(ChatTask& task) {
  const ServedModel& model = *task.model;
  if (!model.system.empty() && std::none_of(task.messages.begin(), task.messages.end(), [](const Json& m) { return m["role"] == "system"; }))
    task.messages.insert(task.messages.begin(), Json{{"role", "system"}, {"content", model.system}});
  if (!model.chat) throw Refusal{400, model.chat_fault + "; use /v1/completions", "no_chat_template", "model"};
  const Tokenizer& tokenizer = model.engine->tokenizer();
  const bool offered = !task.tools.empty() && task.choice != ToolChoice::kNone;
  const ChatTemplate& chat = offered && model.tool_chat ? *model.tool_chat : *model.chat;
  const std::string& source = chat.source();
  const ToolFormat family = tool_format_of(source);
  task.format = offered ? family : ToolFormat::kNone;
  Json tools = offered ? task.tools : Json::array();
  if (source.find("tools") == std::string::npos) {
    Json all = std::move(task.tools);
    task.tools = tools;
    tools_in_words(task);
    task.tools = std::move(all);
    tools = Json::array();
  }
  Json variables = task.variables;
  variables["messages"] = task.messages;
  if (!tools.empty()) variables["tools"] = tools;
  variables["add_generation_prompt"] = true;
  // A last message of the assistant is a beginning to go on from, as Anthropic's API has it.
  std::string begun;
  if (task.messages.size() > 1 && task.messages.back()["role"] == "assistant" && !task.messages.back().contains("tool_calls")) {
    begun = task.messages.back()["content"].get<std::string>();
    variables["messages"].erase(variables["messages"].size() - 1);
  }
  Json sent = variables;
  sent["begun"] = begun;
  const WrittenSpecials specials(tokenizer, sent);
  specials.mark(variables);
  specials.mark(begun);
  variables["bos_token"] = piece(tokenizer, tokenizer.bos);
  variables["eos_token"] = piece(tokenizer, tokenizer.eos);
  PromptText prompt = specials.take_out(chat.render(variables, std::time(nullptr)) + begun);
  const std::string& text = prompt.text;
  task.may_think = source.find("<think>") != std::string::npos || tokenizer.find("<think>") >= 0;
  const size_t open = text.rfind("<think>");
  task.generation.show_special = offered || task.may_think;  // some families mark calls and thoughts by special tokens
  task.thinking = task.may_think && open != std::string::npos && text.find("</think>", open) == std::string::npos && text.size() - open < 16;
  return prompt;
}

}  // namespace

namespace {

// What was asked before and what tools gave: a text that a rail stopped once must not come in again as history. An earlier question
// beside the subject harms nobody and stays.
void check_history(ChatTask& task, const std::string& asked) {
  if (!task.model->ai || !task.model->ai->rails().any()) return;
  const Rails& rails = task.model->ai->rails();
  size_t last = 0;
  for (size_t i = 0; i < task.messages.size(); ++i)
    if (task.messages[i]["role"] == "user" && task.messages[i]["content"] == asked) last = i;
  for (size_t i = 0; i < task.messages.size(); ++i) {
    Json& message = task.messages[i];
    const bool tool = message["role"] == "tool";
    if (!tool && (message["role"] != "user" || i == last)) continue;
    const std::string text = message["content"].get<std::string>();
    const Verdict verdict = tool ? rails.check_retrieved(text) : rails.check(text);
    if (verdict.allowed || (!tool && verdict.rail == "topic")) message["content"] = verdict.text;
    else message["content"] = fmt::format("[withheld: {}]", verdict.reason);
  }
}

}  // namespace

void read_documents(const Json& body, ChatTask& task) {
  constexpr size_t kMostDocuments = 256;
  const Json* list = field(body, "documents");
  if (!list) return;
  if (!list->is_array() || list->size() > kMostDocuments) refuse_field("documents", fmt::format("\"documents\" must be a list of at most {}", kMostDocuments));
  Json shown = Json::array();
  for (const Json& one : *list) {
    std::string text, title;
    if (one.is_string()) text = one.get<std::string>();
    else if (one.is_object()) text = text_field(one, "text", text_field(one, "content")), title = text_field(one, "title");
    if (text.empty()) refuse_field("documents", "each of \"documents\" must be a text, or an object with \"text\"");
    if (task.model->ai) {
      const Verdict verdict = task.model->ai->rails().check_retrieved(text);
      // Its number stays taken, so that citations point where the sender thinks.
      text = verdict.allowed ? verdict.text : "";
    }
    shown.push_back({{"title", title}, {"text", text}, {"content", text}});
    task.documents.push_back(std::move(text));
  }
  if (!task.variables.contains("documents")) task.variables["documents"] = std::move(shown);
}

std::vector<int32_t> conversation_tokens(ChatTask& task) {
  normalise(task.messages);
  const PromptText prompt = render_chat(task);
  return task.model->engine->tokenizer().encode_prompt(prompt.text, prompt.written);
}

void check_question(Service& service, ChatTask& task, std::string question, const std::vector<std::string>& earlier) {
  task.question = std::move(question);
  if (!task.model->ai || !task.model->ai->rails().any()) return;
  const Verdict verdict = task.model->ai->rails().check(task.question, earlier);
  task.guard = verdict_object(verdict);
  if (verdict.allowed) {
    task.question = verdict.text;
    return;
  }
  const std::string other = verdict.rail == "topic" ? service.subjects().other_than(task.model->name, task.question) : "";
  if (!other.empty()) task.guard["ask"] = other;
  task.refusal = refusal_in_words(verdict.reason, other);
}

namespace {

Asked asked_in(const Json& messages) {
  Asked asked;
  for (const Json& message : messages) {
    if (!message.is_object() || message.value("role", Json()) != "user") continue;
    const Json* content = field(message, "content");
    if (!content) continue;
    if (!asked.last.empty()) asked.earlier.push_back(std::move(asked.last));
    asked.last = content_text(*content, "messages");
  }
  return asked;
}

}  // namespace

Asked asked_of(const Json& messages, const char* where) {
  Asked asked = asked_in(messages);
  if (asked.last.empty()) refuse_field(where, "no message of the user holds a text");
  return asked;
}

std::shared_ptr<const ServedModel> answering_model(Service& service, std::shared_ptr<const ServedModel> asked, const Json& messages) {
  if (!service.options().pass_on || !asked->ai || !asked->ai->rails().any()) return asked;
  const auto [last, earlier] = asked_in(messages);
  const Verdict verdict = asked->ai->rails().check(last, earlier);
  if (verdict.allowed || verdict.rail != "topic") return asked;
  const std::string other = service.subjects().other_than(asked->name, last);
  return other.empty() ? asked : service.models().acquire(other);
}

void prepare_chat(Service& service, ChatTask& task) {
  normalise(task.messages);
  const auto [asked, earlier] = asked_in(task.messages);
  check_question(service, task, asked, earlier);
  if (!task.refusal.empty()) return;
  check_history(task, asked);
  if (task.question != asked)
    for (Json& message : task.messages)
      if (message["role"] == "user" && message["content"] == asked) message["content"] = task.question;
  PromptText prompt = render_chat(task);
  const bool must_call = task.choice == ToolChoice::kRequired || task.choice == ToolChoice::kNamed;
  if (must_call) {
    if (task.format == ToolFormat::kHermes) prompt.text += "<tool_call>\n";  // the form that it has learnt; the object itself is held to the schema
    task.format = ToolFormat::kWhole;
    task.may_think = task.thinking = false;
    task.generation.constraint = answer_constraint(*task.model, schema_spec(tool_call_schema(task.tools, task.tool)));
  } else if (task.form) {
    task.generation.constraint = answer_constraint(*task.model, *task.form);
    task.may_think = task.thinking = false;
  }
  task.generation.prompt = task.model->engine->tokenizer().encode_prompt(prompt.text, prompt.written);
  if (task.generation.prompt.empty()) refuse_field("messages", "the conversation is empty");
  fit_context(*task.model, task.generation, service.options().answer_tokens);
}

}  // namespace ingot
