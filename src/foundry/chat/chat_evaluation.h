// How well a model answers conversations that it never saw.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "runtime/engine.h"
#include "train/chat_samples.h"

namespace ingot {

class Progress;

struct ChatScores {
  // Of every answer: e to the mean nats of its tokens, given the right beginning.
  double perplexity = 0;
  int64_t tokens = 0;
  std::vector<double> nats;     // each conversation's mean nats a token
  // Of the first answers, generated greedily and compared with the right ones.
  size_t generated = 0;
  double exact = 0, rouge_l = 0, token_f1 = 0, cut_off = 0;  // cut_off: share that ran into max_tokens
  std::vector<double> rouge;    // each one's
  std::vector<std::string> said;
  double tokens_per_s = 0;      // of the generation, several answers at a time
};

struct ChatJudging {
  size_t generate = 50;      // conversations to answer at most
  int64_t max_tokens = 128;  // of an answer
};

// Each request's answer, several at a time; nothing where the question fills the context. Returns early, with what there is, once
// interrupted; throws the first error of any.
std::vector<GenerationResult> answer_all(Engine& engine, std::span<const Generation> requests, Progress& progress);

// samples: chat_samples() of `conversations`, whose tokens are scored.
ChatScores judge_chat(const std::shared_ptr<const Llama>& model, const ChatPrompt& prompt, const std::shared_ptr<const Tokenizer>& tokenizer,
                      const std::vector<Conversation>& conversations, const ChatSamples& samples, const ChatJudging& judging, ThreadTeam& team);

// Of answers that were given somehow to the first conversations: what is counted by words.
ChatScores score_answers(std::vector<std::string> said, const std::vector<Conversation>& conversations);

// The plain baseline: the first line of what was asked, said back.
ChatScores judge_first_line(const std::vector<Conversation>& conversations, const ChatJudging& judging);

nlohmann::json scores_json(const ChatScores& scores);

// What one is better by on the same conversations, of one tokenizer: ROUGE-L and nats a token, each with its 95 % interval.
nlohmann::json gain_json(const ChatScores& with, const ChatScores& without);

}  // namespace ingot
