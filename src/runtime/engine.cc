#include "runtime/engine.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "core/error.h"

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kPage = 64;

uint64_t hash_page(uint64_t before, std::span<const int32_t> tokens) {
  uint64_t h = before ^ 0x9e3779b97f4a7c15u;
  for (int32_t t : tokens) {
    h = (h ^ static_cast<uint32_t>(t)) * 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

std::string_view finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    default: return "stop";
  }
}

struct Engine::Sequence {
  const Generation& request;
  GenerationResult& result;
  Sampler sampler;
  std::vector<int32_t> tokens;      // prompt and what was produced
  std::vector<int32_t> pages;       // reserved for prompt + limit, so that its address stays
  int64_t stored = 0;               // tokens whose keys and values are in the cache
  uint64_t hash = 0;                // of the whole pages before `hashed`
  int64_t hashed = 0;
  Utf8Stream utf8;
  std::string held;                 // text that may turn out to begin a stop string
  Clock::time_point start = Clock::now();
  bool ended = false;               // the engine is done with it, the pass may still look at it
  bool finished = false;            // under the mutex: its caller may go
  std::exception_ptr error;

  Sequence(const Generation& r, GenerationResult& out, int64_t vocab) : request(r), result(out), sampler(r.sampling, r.prompt, vocab), tokens(r.prompt) {}
  int64_t produced() const { return static_cast<int64_t>(tokens.size() - request.prompt.size()); }
};

Engine::Engine(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer, ThreadTeam& team, EngineOptions options)
    : model_(std::move(model)), tokenizer_(std::move(tokenizer)), team_(team), options_(options),
      context_(options.context > 0 ? std::min(options.context, model_->config().context) : model_->config().context),
      cache_([&] {
        const LlamaConfig& c = model_->config();
        int64_t page = 2 * c.layers * c.groups * c.head_size * kPage * (options.cache == CacheType::kF32 ? 4 : 2);
        int64_t pages = std::max<int64_t>(2, options.cache_bytes / page);
        context_ = std::min(context_, pages * kPage);
        return model_->make_cache(pages * kPage, options.cache);
      }()) {
  if (tokenizer_->eos >= 0) ends_.push_back(tokenizer_->eos);
  for (const char* piece : {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "<end_of_turn>", "<eos>"})
    if (int32_t id = tokenizer_->find(piece); id >= 0 && tokenizer_->is_special(id)) ends_.push_back(id);
  if (tokenizer_->size() > model_->config().vocab)
    bad_input("the tokenizer has " + std::to_string(tokenizer_->size()) + " tokens, the model " + std::to_string(model_->config().vocab), "model",
              "use the tokenizer that came with this model");
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

GenerationResult Engine::generate(const Generation& request) {
  auto prompt = static_cast<int64_t>(request.prompt.size());
  if (!prompt) bad_input("the prompt is empty", "prompt", "give at least one token of text");
  if (prompt >= context_)
    bad_input("the prompt has " + std::to_string(prompt) + " tokens, the context holds " + std::to_string(context_) + " with the answer", "prompt",
              "shorten the prompt, or use a model with a longer context");
  for (int32_t id : request.prompt)
    if (id < 0 || id >= model_->config().vocab) bad_input("token " + std::to_string(id) + " is not in the vocabulary", "prompt", "use this model's tokenizer");
  GenerationResult result;
  Sequence sequence(request, result, model_->config().vocab);
  sequence.pages.reserve(static_cast<size_t>(context_ / kPage + 2));
  sequence.tokens.reserve(static_cast<size_t>(prompt + std::min(request.limit, context_ - prompt)));
  std::unique_lock lock(mutex_);
  if (stop_) throw Error(ErrorKind::environment, "the engine is shutting down", "engine", "send the request again");
  waiting_.push_back(&sequence);
  wake_.notify_all();
  done_.wait(lock, [&] { return sequence.finished; });
  if (sequence.error) std::rethrow_exception(sequence.error);
  return result;
}

void Engine::work() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || !waiting_.empty() || !active_.empty(); });
      if (stop_) {
        for (Sequence* s : waiting_) s->result.reason = FinishReason::kCancelled, s->finished = true;
        waiting_.clear();
        auto active = active_;
        for (Sequence* s : active) {
          s->result.reason = FinishReason::kCancelled;
          s->finished = true;
        }
        active_.clear();
        done_.notify_all();
        return;
      }
      admit();
    }
    pass();
  }
}

// Called with the mutex held. A sequence starts once the cache has room for all that it may become.
void Engine::admit() {
  while (!waiting_.empty() && static_cast<int64_t>(active_.size()) < options_.rows) {
    Sequence& s = *waiting_.front();
    int64_t limit = std::min(s.request.limit, context_ - static_cast<int64_t>(s.tokens.size()));
    int64_t need = (static_cast<int64_t>(s.tokens.size()) + limit + kPage - 1) / kPage, promised = 0;
    for (Sequence* a : active_) {
      int64_t whole = (static_cast<int64_t>(a->request.prompt.size()) + std::min(a->request.limit, context_ - static_cast<int64_t>(a->request.prompt.size())) + kPage - 1) / kPage;
      promised += whole - static_cast<int64_t>(a->pages.size());
    }
    while (cache_.free_pages() - promised < need && evict()) {
    }
    if (cache_.free_pages() - promised < need && !active_.empty()) return;  // others must end first
    waiting_.pop_front();
    // Whole pages that another request has already computed; the last token is always computed, for its logits.
    uint64_t key = 0;
    while (s.stored + kPage < static_cast<int64_t>(s.tokens.size())) {
      auto part = std::span<const int32_t>(s.tokens).subspan(static_cast<size_t>(s.stored), kPage);
      key = hash_page(key, part);
      auto found = by_key_.find(key);
      if (found == by_key_.end() || !std::equal(part.begin(), part.end(), found->second->tokens.begin())) break;
      prefixes_.splice(prefixes_.begin(), prefixes_, found->second);
      cache_.share(found->second->page);
      s.pages.push_back(found->second->page);
      s.stored += kPage;
      s.hash = key;
      s.hashed = s.stored;
    }
    s.result.cached = s.stored;
    active_.push_back(&s);
  }
}

bool Engine::evict() {
  for (auto it = prefixes_.rbegin(); it != prefixes_.rend(); ++it) {
    if (cache_.owners(it->page) > 1) continue;  // in use: dropping it would free nothing
    cache_.drop(it->page);
    by_key_.erase(it->key);
    prefixes_.erase(std::next(it).base());
    return true;
  }
  return false;
}

void Engine::remember(Sequence& s) {
  while (s.hashed + kPage <= s.stored) {
    auto part = std::span<const int32_t>(s.tokens).subspan(static_cast<size_t>(s.hashed), kPage);
    s.hash = hash_page(s.hash, part);
    if (!by_key_.contains(s.hash)) {
      int32_t page = s.pages[static_cast<size_t>(s.hashed / kPage)];
      cache_.share(page);
      prefixes_.push_front({s.hash, page, {part.begin(), part.end()}});
      by_key_[s.hash] = prefixes_.begin();
    }
    s.hashed += kPage;
  }
}

// One forward pass over a row of every decoding sequence and chunks of the prompts.
bool Engine::pass() {
  std::vector<int32_t> ids;
  std::vector<RowPlace> places;
  std::vector<std::pair<Sequence*, int64_t>> samples;  // and the row that predicts its next token
  auto take = [&](Sequence& s, int64_t count) {
    for (int64_t i = 0; i < count; ++i, ++s.stored) {
      if (s.stored % kPage == 0) {
        while (!cache_.free_pages() && evict()) {
        }
        s.pages.push_back(cache_.take());
      }
      ids.push_back(s.tokens[static_cast<size_t>(s.stored)]);
      places.push_back({s.pages.data(), static_cast<int32_t>(s.stored)});
    }
    if (s.stored == static_cast<int64_t>(s.tokens.size())) samples.push_back({&s, static_cast<int64_t>(ids.size()) - 1});
  };
  std::vector<Sequence*> active;
  {
    std::lock_guard lock(mutex_);
    active = active_;
  }
  if (active.empty()) return false;
  try {
    for (Sequence* s : active)
      if (s->produced() > 0) take(*s, 1);
    for (Sequence* s : active) {
      int64_t room = options_.rows - static_cast<int64_t>(ids.size());
      if (s->produced() == 0 && room > 0) take(*s, std::min(room, static_cast<int64_t>(s->tokens.size()) - s->stored));
    }
    auto mark = arena_.mark();
    Context c{team_, arena_};
    Tensor hidden = model_->cached(c, ids, places, cache_);
    if (!samples.empty()) {
      Tensor last = c.make(static_cast<int64_t>(samples.size()), hidden.cols);
      for (int64_t i = 0; i < last.rows; ++i)
        std::memcpy(last.row(i), hidden.row(samples[static_cast<size_t>(i)].second), static_cast<size_t>(hidden.cols) * sizeof(float));
      Tensor logits = model_->logits(c, last);
      for (int64_t i = 0; i < logits.rows; ++i)
        emit(*samples[static_cast<size_t>(i)].first, {logits.row(i), static_cast<size_t>(tokenizer_->size())});
    }
    arena_.release(mark);
    for (Sequence* s : active)
      if (!s->ended) remember(*s);
  } catch (...) {  // a pass that fails ends what was in it, not the engine
    for (Sequence* s : active)
      if (!s->ended) {
        s->error = std::current_exception();
        finish(*s, FinishReason::kCancelled);
      }
    arena_.release({});
  }
  std::lock_guard lock(mutex_);
  for (Sequence* s : active)
    if (s->ended) {
      std::erase(active_, s);
      s->finished = true;  // its caller may destroy it from here on
    }
  done_.notify_all();
  return true;
}

void Engine::emit(Sequence& s, std::span<float> logits) {
  const Generation& r = s.request;
  std::vector<float> before;
  if (r.top_logprobs >= 0) before.assign(logits.begin(), logits.end());
  if (r.ignore_end)
    for (int32_t end : ends_) logits[static_cast<size_t>(end)] = -INFINITY;
  int32_t token = s.sampler.sample(logits);
  if (s.produced() == 0) s.result.first_s = seconds_since(s.start);
  if (is_end(token)) return finish(s, FinishReason::kEnd);
  s.tokens.push_back(token);
  s.result.tokens.push_back({token, r.top_logprobs >= 0 ? logprobs(before, token, r.top_logprobs) : std::vector<TokenScore>{}});
  s.held += s.utf8.push(tokenizer_->decode(std::span(&token, 1)));
  bool last = s.produced() >= r.limit || static_cast<int64_t>(s.tokens.size()) >= context_;
  if (last) s.held += s.utf8.finish();
  size_t certain = s.held.size();
  bool stopped = false;
  for (const std::string& stop : r.stop) {
    if (stop.empty()) continue;
    if (size_t at = s.held.find(stop); at != std::string::npos) {
      certain = std::min(certain, at);
      stopped = true;
    }
  }
  if (!stopped && !last)
    for (const std::string& stop : r.stop)
      for (size_t n = std::min(stop.size(), s.held.size()); n > 0; --n)
        if (s.held.ends_with(std::string_view(stop).substr(0, n))) {
          certain = std::min(certain, s.held.size() - n);
          break;
        }
  std::string text = s.held.substr(0, certain);
  s.held.erase(0, certain);
  s.result.text += text;
  bool wanted = text.empty() || !r.on_text || r.on_text(text);
  if (!wanted) finish(s, FinishReason::kCancelled);
  else if (stopped) finish(s, FinishReason::kStop);
  else if (last) finish(s, FinishReason::kLength);
}

void Engine::finish(Sequence& s, FinishReason reason) {
  if (reason == FinishReason::kEnd) {  // what was held for a stop string is text after all
    std::string rest = s.held + s.utf8.finish();
    s.result.text += rest;
    if (!rest.empty() && s.request.on_text) s.request.on_text(rest);
  }
  s.result.reason = reason;
  s.result.total_s = seconds_since(s.start);
  if (!s.error) remember(s);
  for (int32_t page : s.pages) cache_.drop(page);
  s.pages.clear();
  s.ended = true;
}

}  // namespace ingot
