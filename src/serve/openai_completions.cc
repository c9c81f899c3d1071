// OpenAI's completions, the older API that evaluation harnesses and editors use.
#include <fmt/format.h>

#include "serve/answer_constraint.h"
#include "serve/chat_run.h"
#include "serve/fill_in_middle.h"
#include "serve/openai_shapes.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

constexpr size_t kMostPrompts = 128;

std::vector<int32_t> ids_of(const Json& list, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const Json& one : list) {
    const int64_t id = one.is_number_integer() ? one.get<int64_t>() : -1;
    if (id < 0 || id >= tokenizer.size()) refuse_field("prompt", fmt::format("a prompt of token ids holds what is no token of this model, which has {}", tokenizer.size()));
    ids.push_back(static_cast<int32_t>(id));
  }
  if (ids.empty()) refuse_field("prompt", "a prompt is empty");
  return ids;
}

struct Prompt {
  std::string text;
  std::vector<int32_t> ids;
};

// A text, a list of texts, token ids, or a list of lists of token ids.
std::vector<Prompt> prompts_of(const Json& body, const Tokenizer& tokenizer) {
  const Json* value = field(body, "prompt");
  if (!value) refuse_field("prompt", "\"prompt\" is missing");
  std::vector<Prompt> prompts;
  const auto take_text = [&](const std::string& text) {
    Prompt prompt{text, tokenizer.encode(text)};
    if (prompt.ids.empty() && tokenizer.bos >= 0) prompt.ids.push_back(tokenizer.bos);
    if (prompt.ids.empty() && tokenizer.eos >= 0) prompt.ids.push_back(tokenizer.eos);
    prompts.push_back(std::move(prompt));
  };
  const auto take_ids = [&](const Json& list) {
    auto ids = ids_of(list, tokenizer);
    prompts.push_back({repair_utf8(tokenizer.decode(ids)), ids});
  };
  if (value->is_string()) {
    take_text(value->get<std::string>());
  } else if (value->is_array() && !value->empty() && (*value)[0].is_number()) {
    take_ids(*value);
  } else if (value->is_array() && !value->empty()) {
    if (value->size() > kMostPrompts) refuse_field("prompt", fmt::format("\"prompt\" holds {} prompts, at most {} are taken at once", value->size(), kMostPrompts));
    for (const Json& one : *value) {
      if (one.is_string()) take_text(one.get<std::string>());
      else if (one.is_array()) take_ids(one);
      else refuse_field("prompt", "\"prompt\" must be a text, token ids, or a list of either");
    }
  } else {
    refuse_field("prompt", "\"prompt\" must be a text, token ids, or a list of either");
  }
  return prompts;
}

// The scores of an answer as this API prints them; texts of tokens that are no whole characters are shown as bytes.
class Logprobs {
 public:
  Logprobs(const Tokenizer& tokenizer, bool echo) : tokenizer_(tokenizer), echo_(echo) {}

  void add(int32_t token, const std::vector<TokenScore>& scores) {
    tokens_.push_back(text(token));
    offsets_.push_back(offset_);
    offset_ += characters(tokenizer_.decode(std::span(&token, 1), true));
    if (scores.empty()) {
      values_.push_back(nullptr);
      tops_.push_back(nullptr);
      return;
    }
    values_.push_back(finite(scores[0].logprob));
    Json top = Json::object();
    for (size_t i = 1; i < scores.size(); ++i) top[text(scores[i].token)] = finite(scores[i].logprob);
    top[text(scores[0].token)] = finite(scores[0].logprob);
    tops_.push_back(std::move(top));
  }
  // What was added since the last call.
  Json take() {
    Json out = {{"tokens", std::move(tokens_)}, {"token_logprobs", std::move(values_)}, {"top_logprobs", std::move(tops_)}, {"text_offset", std::move(offsets_)}};
    tokens_ = values_ = tops_ = offsets_ = Json::array();
    return out;
  }
  bool echo() const { return echo_; }

 private:
  std::string text(int32_t token) const {
    const std::string bytes = tokenizer_.decode(std::span(&token, 1), true);
    if (repair_utf8(bytes) == bytes) return bytes;
    std::string out = "bytes:";
    for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    return out;
  }
  static size_t characters(const std::string& bytes) {
    return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) { return (c & 0xc0) != 0x80; }));
  }
  const Tokenizer& tokenizer_;
  bool echo_;
  size_t offset_ = 0;
  Json tokens_ = Json::array(), values_ = Json::array(), tops_ = Json::array(), offsets_ = Json::array();
};

void completions(Service& service, Call& call) {
  const Json& body = call.body();
  const auto model = generating_model(service, body);
  call.answered_by(model->name, model->hash);
  const Tokenizer& tokenizer = model->engine->tokenizer();
  Generation base;
  read_sampling(body, base, *model);
  const bool echo = flag_field(body, "echo", false), streams = flag_field(body, "stream", false);
  const int64_t asked = whole_field(body, "max_tokens", 16, 0, 1 << 30);
  base.choices = static_cast<int>(whole_field(body, "n", 1, 1, 128));
  if (whole_field(body, "best_of", base.choices, 1, 128) != base.choices) refuse_field("best_of", "\"best_of\" other than \"n\" is not done here");
  const int scores = field(body, "logprobs") ? static_cast<int>(whole_field(body, "logprobs", 0, 0, 20)) : -1;
  base.top_logprobs = scores;
  if (echo && scores >= 0) base.prompt_logprobs = scores;
  const std::string suffix = text_field(body, "suffix");
  const MiddleMarks marks = suffix.empty() ? MiddleMarks{} : middle_marks(tokenizer);
  if (!suffix.empty() && !marks) refuse_field("suffix", fmt::format("\"{}\" was not taught to fill in the middle: it has no marks for it", model->name), "unsupported");
  if (!suffix.empty() && echo) refuse_field("suffix", "\"suffix\" and \"echo\" cannot be combined");
  const auto form = read_answer_form(body);

  const auto prompts = prompts_of(body, tokenizer);
  std::vector<ChatTask> tasks(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    ChatTask& task = tasks[i];
    task.model = model;
    task.generation = base;
    check_question(service, task, prompts[i].text);
    task.generation.prompt = !suffix.empty() ? middle_prompt(tokenizer, marks, task.question, suffix)
                             : task.question != prompts[i].text ? tokenizer.encode(task.question) : prompts[i].ids;
    task.generation.limit = asked;
    if (form) task.generation.constraint = answer_constraint(*model, *form);
    if (asked == 0 && !echo) refuse_field("max_tokens", "0 tokens are asked for: nothing would be answered (\"echo\" may ask for none)");
    if (asked > 0) fit_context(*model, task.generation, asked);
  }
  const Json* stream_options = field(body, "stream_options");
  const bool usage = stream_options && stream_options->is_object() && flag_field(*stream_options, "include_usage", false);
  const std::string id = "cmpl-" + call.id();
  const Json head = {{"id", id}, {"object", "text_completion"}, {"created", call.created()}, {"model", model->name}, {"system_fingerprint", fingerprint_of(*model)}};
  std::vector<std::unique_ptr<ChatRun>> runs;  // all at once: they share passes
  for (ChatTask& task : tasks) runs.push_back(std::make_unique<ChatRun>(service, call, task));
  runs[0]->wait_for_first();
  if (streams) call.begin_events();
  Json choices = Json::array();
  for (size_t p = 0; p < runs.size(); ++p) {
    ChatRun& run = *runs[p];
    const size_t count = static_cast<size_t>(run.choices());
    std::vector<std::string> texts(count, echo ? tasks[p].question : "");
    std::vector<Logprobs> logprobs(count, Logprobs(tokenizer, echo));
    std::vector<std::vector<GeneratedToken>> tokens(count);
    const auto number = [&](size_t c) { return p * static_cast<size_t>(base.choices) + c; };
    const auto send = [&](size_t c, const std::string& text, Json scored, Json finish) {
      Json chunk = head;
      chunk["choices"] = Json::array({{{"index", number(c)}, {"text", text}, {"logprobs", std::move(scored)}, {"finish_reason", std::move(finish)}}});
      if (usage) chunk["usage"] = nullptr;
      call.send_event("", chunk);
    };
    if (streams && echo)
      for (size_t c = 0; c < count; ++c) send(c, texts[c], nullptr, nullptr);
    for (auto events = run.next(); !events.empty(); events = run.next())
      for (ChatEvent& event : events) {
        const auto c = static_cast<size_t>(event.choice);
        if (streams) {
          for (const GeneratedToken& token : event.tokens) logprobs[c].add(token.id, token.scores);
          send(c, event.part.text, scores >= 0 ? logprobs[c].take() : Json(), nullptr);
        } else {
          texts[c] += event.part.text;
          tokens[c].insert(tokens[c].end(), event.tokens.begin(), event.tokens.end());
        }
      }
    for (size_t c = 0; c < count; ++c) {
      const std::string& reason = run.outcome(static_cast<int>(c)).reason;
      if (streams) {
        send(c, "", nullptr, reason);
        continue;
      }
      if (scores >= 0) {
        if (echo && run.results()) {
          const auto& first = run.results()->front().prompt_scores;
          const auto& ids = tasks[p].generation.prompt;
          for (size_t t = 0; t < ids.size(); ++t) logprobs[c].add(ids[t], t < first.size() ? first[t] : std::vector<TokenScore>{});
        }
        for (const GeneratedToken& token : tokens[c]) logprobs[c].add(token.id, token.scores);
      }
      choices.push_back({{"index", number(c)}, {"text", texts[c]}, {"logprobs", scores >= 0 ? logprobs[c].take() : Json()}, {"finish_reason", reason}});
    }
  }
  if (streams) {
    if (usage) {
      Json chunk = head;
      chunk["choices"] = Json::array();
      chunk["usage"] = usage_object(call.usage);
      call.send_event("", chunk);
    }
    call.send_line("data: [DONE]");
    return call.exchange().finish();
  }
  Json out = head;
  out["choices"] = std::move(choices);
  out["usage"] = usage_object(call.usage);
  call.reply(out);
}

constexpr std::string_view kCompletionsBody = R"({"type":"object","required":["prompt"],"properties":{"model":{"type":"string"},
  "prompt":{"anyOf":[{"type":"string"},{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"array","items":{"type":"integer"}}]}}]},
  "suffix":{"type":"string"},"max_tokens":{"type":"integer","minimum":0},"echo":{"type":"boolean"},"n":{"type":"integer","minimum":1,"maximum":128},
  "best_of":{"type":"integer"},"logprobs":{"type":"integer","minimum":0,"maximum":20},"stream":{"type":"boolean"},
  "stream_options":{"type":"object","properties":{"include_usage":{"type":"boolean"}}},"temperature":{"type":"number","minimum":0},
  "top_p":{"type":"number","minimum":0,"maximum":1},"top_k":{"type":"integer"},"min_p":{"type":"number"},"typical_p":{"type":"number"},"presence_penalty":{"type":"number"},
  "frequency_penalty":{"type":"number"},"repetition_penalty":{"type":"number"},"repeat_penalty":{"type":"number"},
  "repeat_last_n":{"type":"integer"},"dry_multiplier":{"type":"number"},"dry_base":{"type":"number"},"dry_allowed_length":{"type":"integer"},
  "dry_penalty_last_n":{"type":"integer"},"dry_sequence_breakers":{"type":"array","items":{"type":"string"}},"seed":{"type":"integer"},"ignore_eos":{"type":"boolean"},"user":{"type":"string"},
  "response_format":{"type":"object","properties":{"type":{"enum":["text","json_object","json_schema"]},"json_schema":{"type":"object"}}},"guided_json":{"anyOf":[{"type":"object"},{"type":"string"}]},"guided_regex":{"type":"string"},"guided_choice":{"type":"array","items":{"type":"string"}},"guided_grammar":{"type":"string"},
  "json_schema":{"anyOf":[{"type":"object"},{"type":"string"}]},"grammar":{"type":"string"},"structured_outputs":{"type":"object"},
  "stop":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]},"logit_bias":{"type":"object","additionalProperties":{"type":"number"}}}})";

}  // namespace

void add_completions_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/completions", Scope::kInfer, "Continues texts.", kCompletionsBody, completions, false, ApiStyle::kOpenAi, "text/event-stream"});
}

}  // namespace ingot
