#include "runtime/engine.h"

#include <algorithm>
#include <cmath>

#include "models/llama/lora.h"
#include "runtime/engine_sequence.h"

namespace ingot {

std::string_view finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    default: return "stop";
  }
}

Engine::Engine(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer, ThreadTeam& team, EngineOptions options)
    : model_(std::move(model)), tokenizer_(std::move(tokenizer)), team_(team), options_(std::move(options)),
      context_(options_.context > 0 ? std::min(options_.context, model_->config().context) : model_->config().context),
      cache_([&] {
        KvCache one = model_->make_cache(kPage, options_.cache);
        const int64_t needed = (context_ + kPage - 1) / kPage + 1;
        int64_t pages = std::max<int64_t>(2, options_.cache_bytes > 0 ? options_.cache_bytes / one.page_bytes() : needed);
        context_ = std::min(context_, pages * kPage);
        return model_->make_cache(pages * kPage, options_.cache);
      }()),
      prefixes_(cache_) {
  for (int32_t id : tokenizer_->ends)
    if (id >= 0 && id < tokenizer_->size() && !is_end(id)) ends_.push_back(id);
  if (tokenizer_->eos >= 0 && !is_end(tokenizer_->eos)) ends_.push_back(tokenizer_->eos);
  for (const char* piece : {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "<end_of_turn>", "<eos>"})
    if (int32_t id = tokenizer_->find(piece); id >= 0 && tokenizer_->is_special(id) && !is_end(id)) ends_.push_back(id);
  if (tokenizer_->size() > model_->config().vocab)
    bad_input("the tokenizer has " + std::to_string(tokenizer_->size()) + " tokens, the model " + std::to_string(model_->config().vocab), "model",
              "use the tokenizer that came with this model");
  if (options_.draft_model && options_.draft > 0) {
    if (options_.draft_model->config().vocab < tokenizer_->size())
      bad_input("the draft model has " + std::to_string(options_.draft_model->config().vocab) + " tokens, the tokenizer " + std::to_string(tokenizer_->size()), "draft model",
                "use a smaller model of the same family");
    draft_cache_ = std::make_unique<KvCache>(options_.draft_model->make_cache(cache_.pages() * kPage, options_.cache));
  }
  worker_ = std::thread([this] { work(); });
}

Engine::~Engine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  worker_.join();
}

bool Engine::is_end(int32_t token) const { return std::find(ends_.begin(), ends_.end(), token) != ends_.end(); }

void Engine::check(const Generation& request) const {
  auto prompt = static_cast<int64_t>(request.prompt.size());
  if (!prompt) bad_input("the prompt is empty", "prompt", "give at least one token of text");
  if (prompt >= context_)
    bad_input("the prompt has " + std::to_string(prompt) + " tokens, the context holds " + std::to_string(context_) + " with the answer", "prompt",
              context_ < model_->config().context ? "shorten the prompt, or give the cache more room: the model itself reads " + std::to_string(model_->config().context) + " tokens"
                                                  : "shorten the prompt, or use a model with a longer context");
  for (int32_t id : request.prompt)
    if (id < 0 || id >= tokenizer_->size())
      bad_input("token " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(tokenizer_->size()), "prompt", "use this model's tokenizer");
  if (request.limit < 0) bad_input("the limit of tokens is " + std::to_string(request.limit), "limit", "ask for 0 or more tokens");
  if (request.choices < 1 || request.choices > 128)
    bad_input(std::to_string(request.choices) + " choices are asked for, 1 to 128 are possible", "choices", "ask for fewer");
  const Sampling& s = request.sampling;
  for (double value : {s.temperature, s.top_p, s.min_p, s.typical, s.repetition, s.presence, s.frequency, s.dry, s.dry_base})
    if (!std::isfinite(value)) bad_input("a number of the sampling is not finite", "sampling", "give numbers within their ranges");
  for (auto [token, bias] : request.sampling.bias)
    if (token < 0 || token >= tokenizer_->size()) bad_input("token " + std::to_string(token) + " is not in the vocabulary", "logit bias", "use this model's tokenizer");
}

GenerationResult Engine::generate(const Generation& request) { return std::move(generate_choices(request).front()); }

std::vector<GenerationResult> Engine::generate_choices(const Generation& request) {
  check(request);
  Job job(request);
  job.results.resize(static_cast<size_t>(request.choices));
  std::vector<int32_t> breakers;
  if (request.sampling.dry > 0)
    for (int32_t id = 0; id < tokenizer_->size(); ++id)
      for (const std::string& breaker : request.sampling.dry_breakers)
        if (!breaker.empty() && tokenizer_->piece(id).find(breaker) != std::string_view::npos) {
          breakers.push_back(id);
          break;
        }
  for (int i = 0; i < request.choices; ++i) {
    Sampling sampling = request.sampling;
    sampling.seed += static_cast<uint64_t>(i) * 0xd1342543de82ef95u;
    auto s = std::make_unique<Sequence>(job, i, Sampler(sampling, request.prompt, breakers));
    if (request.constraint) s->constraint = request.constraint->fork();
    s->node = PrefixCache::root(request.adapter ? request.adapter->serial() : 0);
    s->tokens.reserve(request.prompt.size() + static_cast<size_t>(std::min(request.limit, context_)));
    job.sequences.push_back(std::move(s));
  }
  job.open = job.sequences.size();
  std::unique_lock lock(mutex_);
  if (stop_) throw Error(ErrorKind::environment, "the engine is shutting down", "engine", "send the request again");
  if (static_cast<int64_t>(waiting_.size()) >= options_.queue) {
    ++stats_.refused;
    throw QueueFull(static_cast<int64_t>(waiting_.size()));
  }
  job.arrival = static_cast<uint64_t>(++stats_.requests);
  if (!served_.contains(request.user)) {  // who comes back starts level with the one served least, not with a credit for having been away
    double least = 0;
    if (!served_.empty()) least = std::min_element(served_.begin(), served_.end(), [](auto& a, auto& b) { return a.second < b.second; })->second;
    served_[request.user] = least;
  }
  waiting_.push_back(job.sequences.front().get());
  wake_.notify_all();
  done_.wait(lock, [&] { return job.finished; });
  if (job.error) std::rethrow_exception(job.error);
  return std::move(job.results);
}

EngineStats Engine::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats out = stats_;
  out.running = static_cast<int64_t>(active_.size());
  out.waiting = static_cast<int64_t>(waiting_.size());
  out.pages = cache_.pages();
  out.pages_cached = prefixes_.pages();
  return out;
}

void Engine::work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || !waiting_.empty() || !active_.empty(); });
      if (stop_) {
        auto all = active_;
        all.insert(all.end(), waiting_.begin(), waiting_.end());
        for (Sequence* s : all) {
          s->result.reason = FinishReason::kCancelled;
          s->job.finished = true;
        }
        waiting_.clear();
        active_.clear();
        done_.notify_all();
        return;
      }
    }
    pass();
  }
}

}  // namespace ingot
