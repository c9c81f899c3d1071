// Many requests on one model: continuous batching, chunked prefill, a paged cache whose prefixes are shared, cancellation at any token.
// A request's tokens do not depend on the other requests, on how its prompt is cut, on what the prefix cache held, on whether it was
// set aside for others meanwhile, or on speculation.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "models/llama/llama.h"
#include "runtime/prefix_cache.h"
#include "runtime/sampler.h"
#include "runtime/token_constraint.h"
#include "text/tokenizer.h"

namespace ingot {

class LoraAdapter;

enum class FinishReason { kEnd, kLength, kStop, kCancelled };
std::string_view finish_name(FinishReason reason);  // OpenAI's words: "stop", "length", "stop", "cancelled"

struct GeneratedToken {
  int32_t id;
  std::vector<TokenScore> scores;  // the chosen one first; empty unless asked for
};

// One step of an answer, as it happens. `text` is what became certain with it: whole UTF-8, free of stop strings, often empty. An
// event with token -1 carries text that was held back for a stop string until the end.
struct TokenEvent {
  int choice;
  int32_t token;
  std::span<const TokenScore> scores;
  std::string_view text;
};

struct Generation {
  std::vector<int32_t> prompt;      // at least one token; refused when it fills the context, with both numbers
  int64_t limit = 128;              // tokens to produce at most, each choice
  int choices = 1;                  // answers to the same prompt, whose keys and values they share; choice i draws with its own seed
  Sampling sampling;
  std::vector<std::string> stop;    // text that ends the answer; it and what follows are not given out
  int top_logprobs = -1;            // -1: no scores
  int prompt_logprobs = -1;         // -1: none; else every prompt token is scored (and the prefix cache not used)
  bool ignore_end = false;          // go on after the model's end token
  bool show_special = false;        // special tokens are text too: where a family marks tool calls by them
  std::shared_ptr<TokenConstraint> constraint;        // null: any text. Each choice goes on with a fork of it
  std::shared_ptr<const LoraAdapter> adapter;         // null: the base model
  std::string user;                 // whose request: users take turns, however many requests one of them has
  int priority = 0;                 // higher goes first, whoever asks
  std::shared_ptr<const std::atomic<bool>> cancel;    // set true at any time, by any thread: ends the request, waiting or running
  // Called on the engine's thread, which everybody waits for: hand over and return. Returning false cancels the request.
  std::function<bool(const TokenEvent& event)> on_token;
  std::function<bool(std::string_view text)> on_text;  // the same, non-empty text of the first choice only
};

struct GenerationResult {
  std::string text;
  std::vector<GeneratedToken> tokens;
  FinishReason reason = FinishReason::kEnd;
  std::string stop;        // the stop string that was met, or empty
  std::vector<std::vector<TokenScore>> prompt_scores;  // by prompt token; the first has none
  int64_t cached = 0;      // prompt tokens that the prefix cache saved
  int64_t drafted = 0, accepted = 0;  // tokens that speculation proposed, and those of them that were right
  double queue_s = 0, first_s = 0, total_s = 0;  // until it was first worked on, had its first token, ended
  double constraint_s = 0;  // spent on the constraint
};

struct EngineOptions {
  CacheType cache = CacheType::kF16;
  int64_t cache_bytes = int64_t{1} << 30;  // 0: what one conversation of `context` takes
  int64_t context = 0;      // 0: the model's own, as far as cache_bytes reaches
  int64_t rows = 256;       // rows of a pass at most; also the chunk that a long prompt is cut in
  int64_t running = 64;     // sequences that are worked on at once, at most
  int64_t queue = 1024;     // requests that may wait; one more is refused with QueueFull
  double slice_s = 0.010;   // of prompt in a pass, at most, while others wait for their next token
  int64_t draft = 0;        // tokens to guess ahead, at most; 0: no speculation
  std::shared_ptr<const Llama> draft_model;  // guesses, with the same vocabulary; null: the text so far guesses (prompt look-up)
};

// Too many requests wait already; the caller may try again later.
class QueueFull : public Error {
 public:
  explicit QueueFull(int64_t waiting)
      : Error(ErrorKind::environment, std::to_string(waiting) + " requests wait already", "engine", "try again in a moment") {}
};

// Counts since the start, except where they say "now".
struct EngineStats {
  int64_t running = 0, waiting = 0;               // sequences now
  int64_t pages = 0, pages_used = 0;              // of 64 positions; used now, by sequences
  int64_t pages_cached = 0;                       // now, by the prefix cache (those that a sequence uses too included)
  int64_t requests = 0, refused = 0, cancelled = 0, preempted = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0, drafted = 0, accepted = 0;
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;  // now: over the last passes
};

class Engine {
 public:
  Engine(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer, ThreadTeam& team, EngineOptions options = {});
  ~Engine();  // cancels what is under way

  // Waits for the answer; any number of threads may call. Throws Error (input) for a prompt that does not fit, QueueFull.
  GenerationResult generate(const Generation& request);  // the first choice
  std::vector<GenerationResult> generate_choices(const Generation& request);

  EngineStats stats() const;  // any thread
  int64_t context() const { return context_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::shared_ptr<const Tokenizer>& shared_tokenizer() const { return tokenizer_; }
  const Llama& model() const { return *model_; }
  bool is_end(int32_t token) const;

 private:
  struct Job;
  struct Sequence;
  struct Planned;
  struct Decision;

  // engine.cc: what callers' threads do, and the worker's loop
  void work();
  void check(const Generation& request) const;
  // engine_schedule.cc: who comes next; REQUIRES: the mutex is held
  void sweep_cancelled();
  void admit();
  bool before(const Sequence& a, const Sequence& b) const;
  void start(Sequence& s);
  bool room_for(Sequence& s, int64_t positions, std::vector<Sequence*>& lower);
  void preempt(Sequence& s);
  void leave(Sequence& s);
  void charge(Sequence& s, double tokens);
  std::vector<Planned> plan();
  void remember(Sequence& s);
  // engine_pass.cc: one forward pass and what follows from it
  void pass();
  std::vector<Decision> forward(std::vector<Planned>& plan);
  void score_prompt(const Planned& p, const Context& c, Tensor hidden);
  void decide(Decision& out, Tensor logits);
  void fork(Sequence& from, Sequence& to);
  void settle(const Decision& decision);
  void emit(Sequence& s, int32_t token, std::vector<TokenScore> scores);
  void finish(Sequence& s, FinishReason reason);
  // speculation.cc
  void guess(std::vector<Planned>& plan);
  void draft(std::vector<Planned>& plan);
  void forget_draft(Sequence& s);

  std::shared_ptr<const Llama> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  ThreadTeam& team_;
  EngineOptions options_;
  int64_t context_;
  KvCache cache_;
  PrefixCache prefixes_;
  std::unique_ptr<KvCache> draft_cache_;  // of the draft model
  Arena arena_;
  std::vector<int32_t> ends_;
  double row_s_ = 0, decode_s_ = 0;  // what a row of prompt and a pass without any took lately

  mutable std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Sequence*> waiting_;
  std::vector<Sequence*> active_;
  std::map<std::string, double> served_;  // by user with requests here: tokens worked for, against those of the others
  EngineStats stats_;
  bool stop_ = false;
  std::thread worker_;
};

}  // namespace ingot
