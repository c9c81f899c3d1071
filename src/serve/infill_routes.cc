// llama.cpp's /infill, which editor plug-ins call while a person types.
#include <fmt/format.h>

#include "serve/chat_run.h"
#include "serve/fill_in_middle.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

void infill(Service& service, Call& call) {
  const Json& body = call.body();
  ChatTask task;
  task.model = generating_model(service, body);
  const ServedModel& model = *task.model;
  call.answered_by(model.name, model.hash);
  const Tokenizer& tokenizer = model.engine->tokenizer();
  const MiddleMarks marks = middle_marks(tokenizer);
  if (!marks) refuse_field("model", fmt::format("\"{}\" was not taught to fill in the middle: it has no marks for it", model.name), "unsupported");
  read_sampling(body, task.generation, model);
  std::vector<std::pair<std::string, std::string>> extra;
  if (const Json* list = field(body, "input_extra")) {
    if (!list->is_array()) refuse_field("input_extra", "\"input_extra\" must be a list");
    for (const Json& one : *list) {
      if (!one.is_object()) refuse_field("input_extra", "each of \"input_extra\" must be {\"filename\", \"text\"}");
      extra.emplace_back(text_field(one, "filename"), text_field(one, "text"));
    }
  }
  const std::string prefix = text_field(body, "input_prefix"), suffix = text_field(body, "input_suffix"), begun = text_field(body, "prompt");
  check_question(service, task, prefix + begun);
  task.generation.prompt = middle_prompt(tokenizer, marks, prefix, suffix, extra, begun);
  const int64_t asked = whole_field(body, "n_predict", -1, -1, 1 << 30);
  task.generation.limit = asked == 0 ? 1 : std::max<int64_t>(asked, 0);  // 0 warms the cache: llama.cpp reads the prompt and answers nothing
  fit_context(model, task.generation, service.options().answer_tokens);
  const bool streams = flag_field(body, "stream", false);
  ChatRun run(service, call, task);
  run.wait_for_first();
  std::string text;
  if (streams) call.begin_events();
  for (auto events = run.next(); !events.empty(); events = run.next())
    for (const ChatEvent& event : events) {
      if (asked == 0) continue;
      text += event.part.text;
      if (streams) call.send_event("", {{"content", event.part.text}, {"stop", false}});
    }
  double first_s = 0, total_s = 0;
  if (run.results() && !run.results()->empty()) first_s = run.results()->front().first_s, total_s = run.results()->front().total_s;
  const auto& usage = call.usage;
  const auto rate = [](int64_t tokens, double s) { return s > 0 ? static_cast<double>(tokens) / s : 0; };
  const ChatOutcome& outcome = run.outcome(0);
  const int64_t read = usage.prompt_tokens - usage.cached_tokens;
  const Json last = {{"content", streams ? std::string() : text}, {"stop", true}, {"model", model.name}, {"tokens_predicted", asked == 0 ? 0 : usage.generated_tokens},
                     {"tokens_evaluated", usage.prompt_tokens}, {"tokens_cached", usage.cached_tokens}, {"truncated", false}, {"has_new_line", text.find('\n') != std::string::npos},
                     {"stop_type", outcome.reason == "length" ? "limit" : outcome.stop.empty() ? "eos" : "word"}, {"stopping_word", outcome.stop},
                     {"timings", {{"prompt_n", read}, {"prompt_ms", 1000 * first_s}, {"prompt_per_second", rate(read, first_s)}, {"predicted_n", usage.generated_tokens},
                                  {"predicted_ms", 1000 * (total_s - first_s)}, {"predicted_per_second", rate(usage.generated_tokens, total_s - first_s)}}}};
  if (!streams) return call.reply(last);
  call.send_event("", last);
  call.exchange().finish();
}

constexpr std::string_view kInfillBody = R"({"type":"object","properties":{"model":{"type":"string"},"input_prefix":{"type":"string"},"input_suffix":{"type":"string"},
  "input_extra":{"type":"array","items":{"type":"object","properties":{"filename":{"type":"string"},"text":{"type":"string"}}}},"prompt":{"type":"string"},
  "n_predict":{"type":"integer"},"stream":{"type":"boolean"},"temperature":{"type":"number"},"top_k":{"type":"integer"},"top_p":{"type":"number"},
  "min_p":{"type":"number"},"typical_p":{"type":"number"},"presence_penalty":{"type":"number"},"frequency_penalty":{"type":"number"},"repetition_penalty":{"type":"number"},"repeat_penalty":{"type":"number"},
  "repeat_last_n":{"type":"integer"},"dry_multiplier":{"type":"number"},"dry_base":{"type":"number"},"dry_allowed_length":{"type":"integer"},
  "dry_penalty_last_n":{"type":"integer"},"dry_sequence_breakers":{"type":"array","items":{"type":"string"}},"seed":{"type":"integer"},
  "logit_bias":{"type":"object","additionalProperties":{"type":"number"}},"ignore_eos":{"type":"boolean"},
  "stop":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}}})";

}  // namespace

void add_infill_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/infill", Scope::kInfer, "Fills in the middle of a text, for editors.", kInfillBody, infill, false, ApiStyle::kOpenAi, "text/event-stream"});
}

}  // namespace ingot
