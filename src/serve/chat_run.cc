#include "serve/chat_run.h"

#include <fmt/format.h>

#include "foundry/ai.h"
#include "guard/output_gate.h"
#include "serve/service.h"

namespace ingot {

std::unique_ptr<ReleaseGate> gate_for(const ServedModel& model, const std::string& question, const std::vector<std::string>& documents) {
  if (!model.ai) return std::make_unique<OpenGate>();
  return make_release_gate(std::shared_ptr<const Rails>(model.ai, &model.ai->rails()), {question, documents});
}

std::string tool_call_id(const Call& call, int choice, size_t number) {
  // The last digits of the request's id count requests up, so that ids of one conversation differ.
  return fmt::format("{}{:01x}{:02x}", call.id().substr(call.id().size() - 6), choice & 15, number & 255);
}

ChatRun::ChatRun(Service& service, Call& call, ChatTask& task) : task_(task) {
  const int count = std::max(1, task.generation.choices);
  for (int i = 0; i < count; ++i) {
    Choice choice{gate_for(*task.model, task.question, task.documents), AnswerParser(task.format, task.may_think, task.thinking), false, false, {}, {}};
    choice.gated = dynamic_cast<OpenGate*>(choice.gate.get()) == nullptr;
    choices_.push_back(std::move(choice));
  }
  if (task.refusal.empty()) run_ = std::make_unique<GenerationRun>(service, call, task.model, task.generation);
}

void ChatRun::wait_for_first() {
  if (run_) run_->wait_for_first();
}

void ChatRun::say(int index, std::vector<AnswerPart> parts, std::vector<ChatEvent>& out) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  for (AnswerPart& part : parts) {
    ChatEvent event{index, std::move(part), {}};
    if (!choice.gated) event.tokens.swap(choice.tokens);
    out.push_back(std::move(event));
  }
}

// The gate's words stand in place of what it stopped.
void ChatRun::stop(int index, std::string words, std::vector<ChatEvent>& out) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  say(index, choice.parser.finish(), out);
  choice.stopped = true;
  choice.tokens.clear();
  choice.outcome = {"content_filter", "", choice.gate->rail(), choice.gate->reason()};
  if (!words.empty()) out.push_back({index, {AnswerPart::kContent, std::move(words), "", ""}, {}});
  for (const Choice& other : choices_)
    if (!other.stopped) return;
  run_->cancel();
}

void ChatRun::take(int index, std::string_view text, std::vector<ChatEvent>& out) {
  Choice& choice = choices_[static_cast<size_t>(index)];
  if (choice.stopped || text.empty()) return;
  std::string free = choice.gate->push(text);
  if (choice.gate->stopped()) return stop(index, std::move(free), out);
  if (!free.empty()) say(index, choice.parser.push(free), out);
}

std::vector<ChatEvent> ChatRun::next() {
  std::vector<ChatEvent> out;
  if (over_) return out;
  if (!run_) {
    over_ = true;
    for (int i = 0; i < choices(); ++i) {
      choices_[static_cast<size_t>(i)].outcome = {"content_filter", "", task_.guard.value("rail", Json()).is_string() ? task_.guard["rail"].get<std::string>() : "",
                                                  task_.guard.value("reason", "")};
      out.push_back({i, {AnswerPart::kContent, task_.refusal, "", ""}, {}});
    }
    return out;
  }
  while (out.empty()) {
    auto pieces = run_->next();
    if (pieces.empty()) break;
    for (GeneratedPiece& piece : pieces) {
      Choice& choice = choices_[static_cast<size_t>(piece.choice)];
      if (piece.token.id >= 0 && task_.generation.top_logprobs >= 0 && !choice.stopped) choice.tokens.push_back(std::move(piece.token));
      take(piece.choice, piece.text, out);
    }
  }
  if (!out.empty()) return out;
  over_ = true;
  for (int i = 0; i < choices(); ++i) {
    Choice& choice = choices_[static_cast<size_t>(i)];
    if (choice.stopped) continue;
    const std::string rest = choice.gate->finish();
    if (choice.gate->stopped()) {
      stop(i, rest, out);
      continue;
    }
    if (!rest.empty()) say(i, choice.parser.push(rest), out);
    say(i, choice.parser.finish(), out);
    const GenerationResult& result = run_->results()[static_cast<size_t>(i)];
    choice.outcome.reason = choice.parser.calls() && result.reason != FinishReason::kLength ? "tool_calls" : std::string(finish_name(result.reason));
    if (choice.outcome.reason == "cancelled") choice.outcome.reason = "stop";
    choice.outcome.stop = result.stop;
    // Tokens would show what a gate has masked.
    if (!choice.tokens.empty() && !choice.gated) out.push_back({i, {AnswerPart::kContent, "", "", ""}, std::move(choice.tokens)});
  }
  return out;
}

std::vector<ChatAnswer> whole_answers(ChatRun& run) {
  std::vector<ChatAnswer> answers(static_cast<size_t>(run.choices()));
  for (auto events = run.next(); !events.empty(); events = run.next())
    for (ChatEvent& event : events) {
      ChatAnswer& answer = answers[static_cast<size_t>(event.choice)];
      if (event.part.kind == AnswerPart::kContent) answer.content += event.part.text;
      if (event.part.kind == AnswerPart::kReasoning) answer.reasoning += event.part.text;
      if (event.part.kind == AnswerPart::kToolCall) answer.calls.push_back(std::move(event.part));
      answer.tokens.insert(answer.tokens.end(), std::make_move_iterator(event.tokens.begin()), std::make_move_iterator(event.tokens.end()));
    }
  for (int i = 0; i < run.choices(); ++i) answers[static_cast<size_t>(i)].outcome = run.outcome(i);
  return answers;
}

}  // namespace ingot
