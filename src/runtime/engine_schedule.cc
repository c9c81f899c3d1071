// Who is worked for next, and with which pages.
#include <algorithm>

#include "models/llama/lora.h"
#include "runtime/engine_sequence.h"

namespace ingot {

// Higher priority first; then the user who was served least (Sheng 2024, "Fairness in serving large language models"); then who came first.
bool Engine::before(const Sequence& a, const Sequence& b) const {
  const Generation &x = a.request(), &y = b.request();
  if (x.priority != y.priority) return x.priority > y.priority;
  if (x.user != y.user) {
    double s = served_.at(x.user), t = served_.at(y.user);
    if (s != t) return s < t;
  }
  if (a.job.arrival != b.job.arrival) return a.job.arrival < b.job.arrival;
  return a.choice < b.choice;
}

void Engine::charge(Sequence& s, double tokens) { served_[s.request().user] += tokens; }

// Out of the engine; the last one of a job lets its caller go.
void Engine::leave(Sequence& s) {
  s.ended = true;
  for (int32_t page : s.pages) cache_.drop(page);
  s.pages.clear();
  if (draft_cache_) forget_draft(s);
  std::erase(active_, &s);
  std::erase(waiting_, &s);
  Job& job = s.job;
  if (--job.open == 0) {
    const std::string& user = job.request.user;
    auto same = [&](Sequence* other) { return &other->job != &job && other->request().user == user; };
    if (std::none_of(active_.begin(), active_.end(), same) && std::none_of(waiting_.begin(), waiting_.end(), same)) served_.erase(user);
    job.finished = true;
    done_.notify_all();
  }
}

void Engine::sweep_cancelled() {
  std::vector<Sequence*> all(active_);
  all.insert(all.end(), waiting_.begin(), waiting_.end());
  std::vector<Job*> jobs;
  for (Sequence* s : all)
    if (s->job.cancelled || s->job.error || (s->request().cancel && s->request().cancel->load(std::memory_order_relaxed)))
      if (std::find(jobs.begin(), jobs.end(), &s->job) == jobs.end()) jobs.push_back(&s->job);
  for (Job* job : jobs) {
    if (!job->error) ++stats_.cancelled;
    auto& sequences = job->sequences;
    for (size_t i = 0; i < sequences.size(); ++i) {
      Sequence& s = *sequences[i];
      if (s.ended) continue;
      s.result.reason = FinishReason::kCancelled;
      s.result.total_s = seconds_since(job->start);
      bool last = job->open == 1;
      leave(s);
      if (last) break;  // the job may be gone
    }
  }
}

// Whole pages that another request has already computed; the last token is always computed, for its logits.
void Engine::start(Sequence& s) {
  if (s.request().prompt_logprobs < 0)
    while (s.stored + kPage < s.length()) {
      auto hit = prefixes_.find(s.node, std::span<const int32_t>(s.tokens).subspan(static_cast<size_t>(s.stored), kPage));
      if (hit.page < 0) break;
      cache_.share(hit.page);
      s.pages.push_back(hit.page);
      s.node = hit.node;
      s.stored = s.noted += kPage;
    }
  prefixes_.touch(s.node);
  if (s.produced() == 0) {
    s.result.cached = s.stored;
    if (s.result.queue_s == 0) s.result.queue_s = seconds_since(s.job.start);
    stats_.cached_tokens += s.stored;
  }
  active_.push_back(&s);
}

// Gives the prefix cache every whole page that it does not have yet.
void Engine::remember(Sequence& s) {
  while (s.noted + kPage <= s.stored) {
    auto part = std::span<const int32_t>(s.tokens).subspan(static_cast<size_t>(s.noted), kPage);
    s.node = prefixes_.add(s.node, part, s.pages[static_cast<size_t>(s.noted / kPage)]);
    s.noted += kPage;
  }
  prefixes_.touch(s.node);
}

// Sets a sequence aside; what it computed stays in the prefix cache as long as there is room.
void Engine::preempt(Sequence& s) {
  ++stats_.preempted;
  remember(s);
  for (int32_t page : s.pages) cache_.drop(page);
  s.pages.clear();
  if (draft_cache_) forget_draft(s);
  s.stored = s.noted = 0;
  s.node = PrefixCache::root(s.request().adapter ? s.request().adapter->serial() : 0);
  std::erase(active_, &s);
  waiting_.push_back(&s);
}

void Engine::admit() {
  while (!waiting_.empty()) {
    auto best = std::min_element(waiting_.begin(), waiting_.end(), [this](Sequence* a, Sequence* b) { return before(*a, *b); });
    Sequence& s = **best;
    auto of = [&](const std::string& user) { return std::count_if(active_.begin(), active_.end(), [&](Sequence* a) { return a->request().user == user; }); };
    Sequence* aside = nullptr;  // when every place is taken: one of a user who has several gives way to a user who has none
    if (static_cast<int64_t>(active_.size()) >= options_.running) {
      for (Sequence* a : active_) {
        bool below = a->request().priority < s.request().priority;
        bool greedy = a->request().priority == s.request().priority && of(s.request().user) == 0 && of(a->request().user) > 1;
        if ((below || greedy) && (!aside || before(*aside, *a))) aside = a;
      }
      if (!aside) return;
      preempt(*aside);
      best = std::find(waiting_.begin(), waiting_.end(), &s);
    } else if (!active_.empty()) {
      // Room for its text and a page to go on; what others will need later is settled by setting aside.
      int64_t need = (s.length() + kPage) / kPage + 1;
      while (cache_.free_pages() < need && prefixes_.evict()) {
      }
      bool lower = std::any_of(active_.begin(), active_.end(), [&](Sequence* a) { return a->request().priority < s.request().priority; });
      if (cache_.free_pages() < need && !lower) return;
    }
    waiting_.erase(best);
    start(s);
  }
}

// Pages for the first `positions` of a sequence, taken from the prefix cache or from `lower` (last first) when none is free.
bool Engine::room_for(Sequence& s, int64_t positions, std::vector<Sequence*>& lower) {
  while (static_cast<int64_t>(s.pages.size()) * kPage < positions) {
    while (!cache_.free_pages() && prefixes_.evict()) {
    }
    if (cache_.free_pages()) {
      s.pages.push_back(cache_.take());
      continue;
    }
    while (!lower.empty() && lower.back()->pages.empty()) lower.pop_back();
    if (lower.empty()) return false;
    preempt(*lower.back());
    lower.pop_back();
  }
  return true;
}

// A row of every decoding sequence (and its guesses), and as much of the prompts as a slice holds.
std::vector<Engine::Planned> Engine::plan() {
  sweep_cancelled();
  admit();
  std::vector<Sequence*> order(active_);
  std::sort(order.begin(), order.end(), [this](Sequence* a, Sequence* b) { return before(*a, *b); });
  const auto decodes = static_cast<int64_t>(std::count_if(order.begin(), order.end(), [](Sequence* s) { return s->decoding(); }));
  // Seconds become rows by what a row took lately; alone, a chunk still ends in time for a cancellation to be seen.
  const double slice = decodes ? options_.slice_s : 0.5;
  int64_t chunk = row_s_ > 0 ? std::max<int64_t>(static_cast<int64_t>(slice / row_s_), decodes ? 4 : 32) : decodes ? 16 : options_.rows;
  int64_t room = std::max<int64_t>(1, options_.rows - decodes), guesses = std::max<int64_t>(0, 32 - decodes);
  chunk = std::min(chunk, room);
  std::vector<Planned> out;
  std::vector<Sequence*> lower(order);
  std::reverse(lower.begin(), lower.end());
  while (!lower.empty()) {
    Sequence& s = *lower.back();
    lower.pop_back();
    std::reverse(lower.begin(), lower.end());  // room_for() takes from the back: the last in order
    bool decoding = s.decoding();
    Planned p{&s, decoding ? 1 : std::min(chunk, s.length() - s.stored)};
    if (p.count > 0 && static_cast<int64_t>(out.size()) < options_.rows && room_for(s, s.stored + p.count, lower)) {
      if (!decoding) chunk -= p.count;
      p.predicts = s.stored + p.count == s.length();
      if (p.predicts && options_.draft > 0 && guesses > 0) {
        int64_t most = std::min({options_.draft, guesses, s.request().limit - s.produced() - 1, context_ - s.length() - 1});
        auto pages = static_cast<int64_t>(s.pages.size()) * kPage;
        std::vector<Sequence*> none;
        if (most > 0 && (s.length() + most <= pages || cache_.free_pages() > 0) && room_for(s, s.length() + most, none)) {
          p.most_guesses = most;
          guesses -= most;
        }
      }
      out.push_back(std::move(p));
    }
    std::reverse(lower.begin(), lower.end());
  }
  // Rows of one adapter stand together.
  std::stable_sort(out.begin(), out.end(), [](const Planned& a, const Planned& b) { return a.sequence->request().adapter < b.sequence->request().adapter; });
  return out;
}

}  // namespace ingot
