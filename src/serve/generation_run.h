// One generation of a request, read by the request's own thread while the engine's goes on: what is slow (rails, JSON, a slow client)
// never holds the engine up.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "serve/model_registry.h"

namespace ingot {

class Call;
class Service;

// What one token brought. text is whole UTF-8, often empty.
struct GeneratedPiece {
  int choice = 0;
  std::string text;
  GeneratedToken token;  // id -1: text that was held for a stop string until the end
};

class GenerationRun {
 public:
  // Starts at once. An answer that uses up its caller's tokens ends there, for its length. The generation is cancelled within a token of the client's leaving. Throws Refusal 429 when too much is under way.
  GenerationRun(Service& service, Call& call, std::shared_ptr<const ServedModel> model, Generation generation);
  ~GenerationRun();  // cancels and waits
  GenerationRun(const GenerationRun&) = delete;

  // All that came since the last call, at least one piece; empty: it is over. Throws what the engine threw.
  std::vector<GeneratedPiece> next();
  // Whether the first token is there, or it is over: until then an error can still have a status of its own.
  void wait_for_first();
  void cancel();
  const std::vector<GenerationResult>& results() const { return results_; }  // by choice; REQUIRES: next() gave nothing
  const std::vector<int32_t>& prompt() const { return generation_.prompt; }

 private:
  void run();
  void account();
  Service& service_;
  Call& call_;
  std::shared_ptr<const ServedModel> model_;
  Generation generation_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  double begun_s_;  // since the request came
  std::vector<GenerationResult> results_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<GeneratedPiece> pieces_;
  bool any_ = false, over_ = false, accounted_ = false;
  std::exception_ptr error_;
  std::atomic<int64_t> taken_{0};  // tokens, from the caller's limits
  bool cut_ = false;               // its caller's tokens are used up
};

}  // namespace ingot
