// Many requests on one model: continuous batching, chunked prefill, a paged cache whose prefixes are shared, cancellation at any token.
// A request's tokens do not depend on the other requests, on how its prompt is cut, or on what the prefix cache held.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "models/llama/llama.h"
#include "runtime/sampler.h"
#include "text/tokenizer.h"

namespace ingot {

enum class FinishReason { kEnd, kLength, kStop, kCancelled };
std::string_view finish_name(FinishReason reason);  // OpenAI's words: "stop", "length", "stop", "cancelled"

struct GeneratedToken {
  int32_t id;
  std::vector<TokenScore> scores;  // the chosen one first; empty unless asked for
};

struct Generation {
  std::vector<int32_t> prompt;      // at least one token; refused when prompt + limit pass the context, with both numbers
  int64_t limit = 128;              // tokens to produce at most
  Sampling sampling;
  std::vector<std::string> stop;    // text that ends the answer; it and what follows are not given out
  int top_logprobs = -1;            // -1: no scores
  bool ignore_end = false;          // go on after the model's end token
  // Text as it becomes certain (whole UTF-8, free of stop strings); called on the engine's thread. Returning false cancels.
  std::function<bool(std::string_view text)> on_text;
};

struct GenerationResult {
  std::string text;
  std::vector<GeneratedToken> tokens;
  FinishReason reason = FinishReason::kEnd;
  int64_t cached = 0;  // prompt tokens that the prefix cache saved
  double first_s = 0, total_s = 0;
};

struct EngineOptions {
  CacheType cache = CacheType::kF16;
  int64_t cache_bytes = int64_t{1} << 30;
  int64_t context = 0;      // 0: the model's own, as far as cache_bytes reaches
  int64_t rows = 256;       // rows of a pass at most; also the chunk that a long prompt is cut in
};

class Engine {
 public:
  Engine(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer, ThreadTeam& team, EngineOptions options = {});
  ~Engine();  // cancels what is under way

  // Waits for the answer; any number of threads may call. Throws Error (input) for a prompt that does not fit.
  GenerationResult generate(const Generation& request);

  int64_t context() const { return context_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Llama& model() const { return *model_; }
  bool is_end(int32_t token) const;

 private:
  struct Sequence;
  void work();
  void admit();
  bool pass();
  void emit(Sequence& s, std::span<float> logits);
  void finish(Sequence& s, FinishReason reason);
  int32_t page_for(Sequence& s);
  void remember(Sequence& s);
  bool evict();

  std::shared_ptr<const Llama> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  ThreadTeam& team_;
  EngineOptions options_;
  int64_t context_;
  KvCache cache_;
  Arena arena_;
  std::vector<int32_t> ends_;
  // Whole pages of finished prompts, by the hash of all tokens up to their end; least recently used last.
  struct Prefix {
    uint64_t key;
    int32_t page;
    std::vector<int32_t> tokens;  // of this page, against collisions
  };
  std::list<Prefix> prefixes_;
  std::unordered_map<uint64_t, std::list<Prefix>::iterator> by_key_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<Sequence*> waiting_;
  std::vector<Sequence*> active_;
  bool stop_ = false;
  std::thread worker_;
};

}  // namespace ingot
