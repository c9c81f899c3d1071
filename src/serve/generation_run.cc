#include "serve/generation_run.h"

#include <chrono>

#include "serve/call.h"
#include "serve/metrics.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

GenerationRun::GenerationRun(Service& service, Call& call, std::shared_ptr<const ServedModel> model, Generation generation)
    : service_(service), call_(call), model_(std::move(model)), generation_(std::move(generation)), cancelled_(std::make_shared<std::atomic<bool>>(false)),
      begun_s_(call.seconds()) {
  generation_.cancel = cancelled_;
  generation_.adapter = model_->adapter;
  generation_.user = call.usage.caller.user;
  generation_.priority = call.usage.caller.priority;
  if (call.usage.caller.limited) {
    const auto prompt = static_cast<int64_t>(generation_.prompt.size());
    if (auto refusal = service.access().take(call.usage.caller, prompt)) throw std::move(*refusal);
    taken_ = prompt;
  }
  auto task = [this] { run(); };
  if (!service.generators().run(task)) throw Refusal{429, "too many answers are being generated", "overloaded", "", 1};
}

GenerationRun::~GenerationRun() {
  cancel();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return over_; });
}

void GenerationRun::cancel() { *cancelled_ = true; }

void GenerationRun::run() {
  ModelMetrics& metrics = service_.metrics().of(model_->name);
  const Clock::time_point start = Clock::now();
  std::vector<Clock::time_point> last(static_cast<size_t>(std::max(1, generation_.choices)));
  ++metrics.running;
  generation_.on_token = [&](const TokenEvent& event) {
    if (event.token >= 0 && call_.usage.caller.limited) {
      if (service_.access().take(call_.usage.caller, 1)) {
        cut_ = true;
        return false;
      }
      ++taken_;
    }
    const auto now = Clock::now();
    auto& before = last[static_cast<size_t>(event.choice)];
    if (event.token >= 0) {
      if (before == Clock::time_point()) {
        metrics.first_token.add(seconds(now - start));
      } else {
        metrics.between_tokens.add(seconds(now - before));
      }
      before = now;
    }
    std::lock_guard lock(mutex_);
    pieces_.push_back({event.choice, std::string(event.text), {event.token, {event.scores.begin(), event.scores.end()}}});
    any_ = true;
    changed_.notify_one();
    return !call_.gone() && !service_.stopping();
  };
  std::vector<GenerationResult> results;
  std::exception_ptr error;
  try {
    results = model_->engine->generate_choices(generation_);
  } catch (...) {
    error = std::current_exception();
  }
  --metrics.running;
  if (cut_)  // the token that no longer fitted was not given out
    for (GenerationResult& result : results)
      if (result.reason == FinishReason::kCancelled) result.reason = FinishReason::kLength;
  if (!error) {
    const double whole = seconds(Clock::now() - start);
    metrics.whole.add(whole);
    metrics.prompt_tokens.add(static_cast<double>(generation_.prompt.size()));
    metrics.prompt += generation_.prompt.size();
    metrics.cached += static_cast<uint64_t>(results[0].cached);
    for (const GenerationResult& result : results) {
      const auto count = static_cast<double>(result.tokens.size());
      metrics.generated += result.tokens.size();
      metrics.generated_tokens.add(count);
      if (count > 1) metrics.per_output_token.add((result.total_s - result.first_s) / (count - 1));
      std::lock_guard lock(metrics.mutex);
      ++metrics.finished[result.reason == FinishReason::kCancelled ? "abort" : std::string(finish_name(result.reason))];
    }
  }
  std::lock_guard lock(mutex_);
  results_ = std::move(results);
  error_ = error;
  over_ = true;
  changed_.notify_all();  // under the mutex: the other side may destroy this as soon as it is free
}

std::vector<GeneratedPiece> GenerationRun::next() {
  std::unique_lock lock(mutex_);
  // A client may leave while its prompt waits or is read, when no token calls.
  while (!changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return over_ || !pieces_.empty(); }))
    if (call_.gone() || service_.stopping()) cancel();
  if (error_) std::rethrow_exception(error_);
  std::vector<GeneratedPiece> out;
  out.swap(pieces_);
  if (out.empty()) account();
  return out;
}

// On the request's thread, which alone writes its usage.
void GenerationRun::account() {
  if (accounted_) return;
  accounted_ = true;
  Usage& usage = call_.usage;
  usage.taken_tokens += taken_;
  usage.prompt_tokens += static_cast<int64_t>(generation_.prompt.size());
  for (const GenerationResult& result : results_) usage.generated_tokens += static_cast<int64_t>(result.tokens.size());
  if (cut_ && usage.generated_tokens > 0) --usage.generated_tokens;  // the one that was not given out
  if (results_.empty()) return;
  usage.cached_tokens += results_[0].cached;
  if (usage.first_token_s > 0) return;  // of several prompts the first one's times
  usage.begun_s = begun_s_;
  usage.queue_s = results_[0].queue_s;
  usage.first_token_s = results_[0].first_s;
  usage.generation_s = results_[0].total_s;
}

void GenerationRun::wait_for_first() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return over_ || any_; }))
    if (call_.gone() || service_.stopping()) cancel();
  if (error_) std::rethrow_exception(error_);
}

}  // namespace ingot
