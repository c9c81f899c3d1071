// What the engine keeps of a request while it is here. Private to the engine's files.
#pragma once

#include <chrono>

#include "runtime/engine.h"

namespace ingot {

using Clock = std::chrono::steady_clock;
inline constexpr int64_t kPage = 64;
inline double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A call of generate(): lives on its caller's stack until `finished`.
struct Engine::Job {
  const Generation& request;
  std::vector<GenerationResult> results;
  std::vector<std::unique_ptr<Sequence>> sequences;
  size_t open = 0;          // sequences that have not ended
  uint64_t arrival = 0;     // counts up
  bool cancelled = false;   // a callback said so
  bool finished = false;    // under the mutex: its caller may go
  std::exception_ptr error;
  Clock::time_point start = Clock::now();

  explicit Job(const Generation& r) : request(r) {}
};

// One choice of a job.
struct Engine::Sequence {
  Job& job;
  int choice;
  GenerationResult& result;
  Sampler sampler;
  std::shared_ptr<TokenConstraint> constraint;
  std::vector<int32_t> tokens;      // prompt and what was produced
  std::vector<int32_t> pages;
  int64_t stored = 0;               // leading tokens whose keys and values are in the cache
  int64_t node = 0, noted = 0;      // the prefix cache knows the first `noted` tokens, up to this node
  std::vector<int32_t> draft_pages;  // of the draft model's cache
  int64_t draft_stored = 0;
  Utf8Stream utf8;
  std::string held;                 // text that may turn out to begin a stop string
  bool forked = false;              // choice 0: the others have started
  bool done = false;                // its result is whole, it leaves after this pass
  bool ended = false;               // the engine is done with it

  Sequence(Job& j, int c, Sampler s) : job(j), choice(c), result(j.results[static_cast<size_t>(c)]), sampler(std::move(s)), tokens(j.request.prompt) {}
  const Generation& request() const { return job.request; }
  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t produced() const { return length() - static_cast<int64_t>(job.request.prompt.size()); }
  bool decoding() const { return length() - stored == 1 && produced() > 0; }
};

// Rows of one sequence in a pass: tokens [stored, stored + count), then the guessed ones.
struct Engine::Planned {
  Sequence* sequence = nullptr;
  int64_t count = 0;
  int64_t most_guesses = 0;
  std::vector<int32_t> guesses{};
  int64_t first = 0;      // its first row
  bool predicts = false;  // the last token is among them: the rows from there on predict
};

// The tokens that a sequence takes from a pass. Another choice of a planned job may begin with the same rows.
struct Engine::Decision {
  Sequence* sequence;
  const Planned* planned;
  int64_t row = 0;                              // of the logits, its first
  std::vector<int32_t> tokens;
  std::vector<std::vector<TokenScore>> scores;  // empty unless asked for
  int64_t accepted = 0;                         // of the guesses
  bool end = false;                             // an end token came after them
  std::exception_ptr error;
};

}  // namespace ingot
