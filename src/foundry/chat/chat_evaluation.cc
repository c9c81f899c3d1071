#include "foundry/chat/chat_evaluation.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/progress.h"
#include "foundry/chat/text_overlap.h"
#include "foundry/triage/paired_bootstrap.h"

namespace ingot {
namespace {

constexpr int kTogether = 8;  // answers generated at a time

size_t last_answer(const Conversation& one) {
  size_t at = one.messages.size();
  while (at > 0 && one.messages[at - 1].role != "assistant") --at;
  return at;  // one past it; 0: there is none
}

void compare(ChatScores& scores, const std::vector<Conversation>& conversations) {
  const auto n = static_cast<double>(std::max<size_t>(1, scores.said.size()));
  for (size_t i = 0; i < scores.said.size(); ++i) {
    const std::string& right = conversations[i].messages[last_answer(conversations[i]) - 1].content;
    scores.rouge.push_back(rouge_l(scores.said[i], right));
    scores.rouge_l += scores.rouge.back() / n;
    scores.token_f1 += token_f1(scores.said[i], right) / n;
    scores.exact += exact_match(scores.said[i], right) / n;
  }
  scores.generated = scores.said.size();
}

}  // namespace

std::vector<GenerationResult> answer_all(Engine& engine, std::span<const Generation> requests, Progress& progress) {
  std::vector<GenerationResult> answers(requests.size());
  std::atomic<size_t> next{0};
  std::mutex shown;
  std::exception_ptr fault;
  std::vector<std::thread> askers;
  for (int t = 0; t < kTogether; ++t)
    askers.emplace_back([&] {
      try {
        for (size_t i; (i = next.fetch_add(1)) < requests.size() && !interrupted();) {
          if (requests[i].limit < 1) continue;
          answers[i] = engine.generate(requests[i]);
          std::lock_guard lock(shown);
          progress.advance();
        }
      } catch (...) {
        std::lock_guard lock(shown);
        if (!fault) fault = std::current_exception();
      }
    });
  for (auto& asker : askers) asker.join();
  if (fault) std::rethrow_exception(fault);
  return answers;
}

ChatScores judge_chat(const std::shared_ptr<const Llama>& model, const ChatPrompt& prompt, const std::shared_ptr<const Tokenizer>& tokenizer,
                      const std::vector<Conversation>& conversations, const ChatSamples& samples, const ChatJudging& judging, ThreadTeam& team) {
  ChatScores scores;
  std::vector<double> nats(conversations.size());
  std::vector<int64_t> tokens(conversations.size());
  const auto losses = sample_losses(*model, samples.samples, team);
  double sum = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    nats[samples.conversation[i]] += losses[i].nats;
    tokens[samples.conversation[i]] += losses[i].tokens;
    sum += losses[i].nats;
    scores.tokens += losses[i].tokens;
  }
  for (size_t i = 0; i < nats.size(); ++i)
    if (tokens[i]) scores.nats.push_back(nats[i] / static_cast<double>(tokens[i]));
  scores.perplexity = std::exp(sum / static_cast<double>(std::max<int64_t>(1, scores.tokens)));

  const size_t count = std::min(judging.generate, conversations.size());
  if (!count) return scores;
  EngineOptions options;
  options.cache_bytes = int64_t{1} << 28;
  Engine engine(model, tokenizer, team, options);
  Progress progress("answer held-out questions", count);
  const auto start = std::chrono::steady_clock::now();
  std::vector<Generation> requests(count);
  for (size_t i = 0; i < count; ++i) {
    const auto& messages = conversations[i].messages;
    requests[i].prompt = prompt.tokens(std::vector<ChatMessage>(messages.begin(), messages.begin() + static_cast<long>(last_answer(conversations[i])) - 1), true);
    requests[i].limit = std::min(judging.max_tokens, engine.context() - static_cast<int64_t>(requests[i].prompt.size()));
    requests[i].sampling.temperature = 0;
  }
  const auto answers = answer_all(engine, requests, progress);
  stop_if_interrupted("evaluation");
  progress.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  size_t cut = 0, produced = 0;
  for (const GenerationResult& answer : answers) {
    scores.said.push_back(answer.text);
    cut += answer.reason == FinishReason::kLength;
    produced += answer.tokens.size();
  }
  scores.tokens_per_s = static_cast<double>(produced) / seconds;
  scores.cut_off = static_cast<double>(cut) / static_cast<double>(count);
  compare(scores, conversations);
  return scores;
}

ChatScores score_answers(std::vector<std::string> said, const std::vector<Conversation>& conversations) {
  ChatScores scores;
  scores.said = std::move(said);
  compare(scores, conversations);
  return scores;
}

ChatScores judge_first_line(const std::vector<Conversation>& conversations, const ChatJudging& judging) {
  std::vector<std::string> said;
  for (size_t i = 0; i < std::min(judging.generate, conversations.size()); ++i) {
    const auto& messages = conversations[i].messages;
    size_t at = last_answer(conversations[i]) - 1;
    while (at > 0 && messages[at].role != "user") --at;
    const std::string& asked = messages[at].content;
    said.push_back(asked.substr(0, asked.find('\n')));
  }
  return score_answers(std::move(said), conversations);
}

nlohmann::json scores_json(const ChatScores& s) {
  nlohmann::json out = {{"generated", s.generated}, {"exact_match", s.exact}, {"rouge_l", s.rouge_l}, {"token_f1", s.token_f1}};
  if (s.tokens) {
    out["perplexity"] = s.perplexity;
    out["answer_tokens"] = s.tokens;
    out["cut_off"] = s.cut_off;
    out["tokens_per_s"] = s.tokens_per_s;
  }
  return out;
}

nlohmann::json gain_json(const ChatScores& with, const ChatScores& without) {
  auto interval = [](const PairedDifference& d) { return nlohmann::json{{"mean", d.mean}, {"low", d.low}, {"high", d.high}}; };
  return {{"rouge_l", interval(paired_bootstrap(with.rouge, without.rouge, 1))}, {"nats_a_token", interval(paired_bootstrap(without.nats, with.nats, 1))}};
}

}  // namespace ingot
