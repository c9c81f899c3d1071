// One forward pass: rows in, tokens out, text to those who asked.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/llama/lora.h"
#include "runtime/engine_sequence.h"

namespace ingot {

void Engine::pass() {
  std::vector<Planned> plan;
  {
    std::lock_guard lock(mutex_);
    plan = this->plan();
    if (plan.empty()) {
      if (!active_.empty()) {  // cannot happen: the first in order may take every page
        active_.front()->job.error = std::make_exception_ptr(Error(ErrorKind::internal, "no pass could be planned", "engine", "report this"));
      }
      return;
    }
  }
  const auto start = Clock::now();
  std::vector<Decision> decisions;
  try {
    decisions = forward(plan);
  } catch (...) {
    std::lock_guard lock(mutex_);
    for (Planned& p : plan) p.sequence->job.error = std::current_exception();
    sweep_cancelled();
    return;
  }
  const double took = seconds_since(start);
  std::vector<Sequence*> begun;
  int64_t prompts = 0, decodes = 0;
  {
    std::lock_guard lock(mutex_);
    for (Planned& p : plan) {
      bool decoding = p.sequence->decoding();
      (decoding ? decodes : prompts) += decoding ? 1 : p.count;
      p.sequence->stored += p.count;
      charge(*p.sequence, static_cast<double>(p.count));
      if (p.predicts && !decoding) remember(*p.sequence);
    }
    for (Decision& d : decisions)
      if (d.sequence != d.planned->sequence) fork(*d.planned->sequence, *d.sequence);
  }
  for (Decision& d : decisions) settle(d);
  auto mix = [](double& mean, double value) { mean = mean > 0 ? 0.8 * mean + 0.2 * value : value; };
  if (!prompts) mix(decode_s_, took);
  else if (prompts >= 8) mix(row_s_, std::max(took - (decodes ? decode_s_ : 0), 0.1 * took) / static_cast<double>(prompts));

  std::lock_guard lock(mutex_);
  stats_.prompt_tokens += prompts;
  int64_t produced = 0;
  for (const Decision& d : decisions) {
    Sequence& s = *d.sequence;
    produced += static_cast<int64_t>(d.tokens.size());
    stats_.drafted += static_cast<int64_t>(d.planned->guesses.size());
    stats_.accepted += d.accepted;
    charge(s, static_cast<double>(d.tokens.size()));
    if (!s.done) continue;
    remember(s);
    leave(s);
  }
  stats_.generated_tokens += produced;
  if (prompts) mix(stats_.prefill_tokens_per_s, static_cast<double>(prompts) / took);
  if (!prompts) mix(stats_.decode_tokens_per_s, static_cast<double>(produced) / took);
}

std::vector<Engine::Decision> Engine::forward(std::vector<Planned>& plan) {
  guess(plan);
  std::vector<int32_t> ids;
  std::vector<RowPlace> places;
  std::vector<AdapterRows> adapters;
  for (Planned& p : plan) {
    Sequence& s = *p.sequence;
    p.first = static_cast<int64_t>(ids.size());
    for (int64_t i = 0; i < p.count; ++i) ids.push_back(s.tokens[static_cast<size_t>(s.stored + i)]);
    ids.insert(ids.end(), p.guesses.begin(), p.guesses.end());
    for (int64_t i = p.first; i < static_cast<int64_t>(ids.size()); ++i) places.push_back({s.pages.data(), static_cast<int32_t>(s.stored + i - p.first)});
    if (const LoraAdapter* adapter = s.request().adapter.get()) {
      if (adapters.empty() || adapters.back().adapter != adapter) adapters.push_back({adapter, p.first, 0});
      adapters.back().rows = static_cast<int64_t>(ids.size()) - adapters.back().first;
    }
  }
  auto mark = arena_.mark();
  struct Release {
    Arena& arena;
    Arena::Mark mark;
    ~Release() { arena.release(mark); }
  } release{arena_, mark};
  Context c{team_, arena_};
  Tensor hidden = model_->cached(c, ids, places, cache_, adapters);
  std::vector<Decision> out;
  std::vector<int64_t> rows;  // of hidden, that predict
  std::vector<AdapterRows> heads;  // of those rows
  for (const Planned& p : plan) {
    if (!p.sequence->decoding() && p.sequence->request().prompt_logprobs >= 0) score_prompt(p, c, hidden);
    if (!p.predicts) continue;
    const auto predicting = static_cast<int64_t>(rows.size());
    auto& sequences = p.sequence->job.sequences;
    bool begins = !p.sequence->forked && p.sequence->choice == 0;
    p.sequence->forked = true;
    for (size_t i = 0; i < (begins ? sequences.size() : 1); ++i) {
      Decision& d = out.emplace_back();
      d.sequence = begins ? sequences[i].get() : p.sequence;
      d.planned = &p;
      d.row = static_cast<int64_t>(rows.size());
      for (int64_t r = 0; r <= static_cast<int64_t>(p.guesses.size()); ++r) rows.push_back(p.first + p.count - 1 + r);
    }
    if (const LoraAdapter* adapter = p.sequence->request().adapter.get()) heads.push_back({adapter, predicting, static_cast<int64_t>(rows.size()) - predicting});
  }
  if (rows.empty()) return out;
  Tensor last = c.make(static_cast<int64_t>(rows.size()), hidden.cols);
  for (int64_t i = 0; i < last.rows; ++i) std::memcpy(last.row(i), hidden.row(rows[static_cast<size_t>(i)]), static_cast<size_t>(hidden.cols) * sizeof(float));
  Tensor logits = model_->logits(c, last, heads);
  team_.parallel_for(out.size(), 1, [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) decide(out[i], logits);
  });
  return out;
}

// The model's view of the prompt: row i scores token i + 1.
void Engine::score_prompt(const Planned& p, const Context& c, Tensor hidden) {
  constexpr int64_t kRows = 32;
  Sequence& s = *p.sequence;
  auto& scores = s.job.results[0].prompt_scores;
  const auto prompt = static_cast<int64_t>(s.request().prompt.size());
  scores.resize(static_cast<size_t>(prompt));
  const int64_t count = std::min(p.count, prompt - 1 - s.stored);
  for (int64_t first = 0; first < count; first += kRows) {
    auto mark = c.arena.mark();
    int64_t rows = std::min(kRows, count - first);
    const AdapterRows head{s.request().adapter.get(), 0, rows};
    Tensor logits = model_->logits(c, Tensor{hidden.row(p.first + first), nullptr, rows, hidden.cols}, head.adapter ? std::span(&head, 1) : std::span<const AdapterRows>());
    c.team.parallel_for(static_cast<size_t>(rows), 1, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) {
        auto token = static_cast<size_t>(s.stored + first) + i + 1;
        scores[token] = logprobs({logits.row(static_cast<int64_t>(i)), static_cast<size_t>(tokenizer_->size())}, s.tokens[token], s.request().prompt_logprobs);
      }
    });
    c.arena.release(mark);
  }
}

// Draws the next token, and goes on while the model agrees with the guesses: what is drawn does not depend on them, so the tokens are
// those that would have come without guessing, whatever the temperature.
void Engine::decide(Decision& out, Tensor logits) {
  Sequence& s = *out.sequence;
  const Generation& r = s.request();
  if (r.limit == 0) return;
  try {
    const auto& guesses = out.planned->guesses;
    for (size_t i = 0; i <= guesses.size(); ++i) {
      std::span<float> row(logits.row(out.row + static_cast<int64_t>(i)), static_cast<size_t>(tokenizer_->size()));
      std::vector<float> before;
      if (r.top_logprobs >= 0) before.assign(row.begin(), row.end());
      if (s.constraint) {
        std::vector<float> ends;
        for (int32_t end : ends_) ends.push_back(row[static_cast<size_t>(end)]);
        const auto start = Clock::now();
        s.constraint->mask(row);
        s.result.constraint_s += seconds_since(start);
        bool may_end = s.constraint->may_end();
        for (size_t e = 0; e < ends_.size(); ++e) row[static_cast<size_t>(ends_[e])] = may_end && !r.ignore_end ? ends[e] : -INFINITY;
        if (*std::max_element(row.begin(), row.end()) == -INFINITY) {
          if (!may_end) bad_input("the constraint allows nothing that this vocabulary can spell", "constraint", "loosen the grammar, or use another model");
          out.end = true;
          return;
        }
      } else if (r.ignore_end) {
        for (int32_t end : ends_) row[static_cast<size_t>(end)] = -INFINITY;
      }
      int32_t token = s.sampler.sample(row);
      if (is_end(token) && !r.ignore_end) {
        out.end = true;
        return;
      }
      if (s.constraint) s.constraint->accept(token);
      out.tokens.push_back(token);
      if (r.top_logprobs >= 0) out.scores.push_back(logprobs(before, token, r.top_logprobs));
      if (i == guesses.size() || token != guesses[i]) return;
      ++out.accepted;
    }
  } catch (...) {
    out.error = std::current_exception();
  }
}

// Whole pages of the prompt are shared, the last one is copied; without a page for that the choice waits and computes it again.
void Engine::fork(Sequence& from, Sequence& to) {
  to.node = from.node, to.noted = from.noted;
  to.result.cached = from.stored;
  int64_t whole = from.stored / kPage;
  while (from.stored % kPage && !cache_.free_pages() && prefixes_.evict()) {
  }
  if (from.stored % kPage && !cache_.free_pages()) {
    to.node = PrefixCache::root(to.request().adapter ? to.request().adapter->serial() : 0);
    to.noted = 0;
    waiting_.push_back(&to);
    return;
  }
  to.stored = from.stored;
  for (int64_t i = 0; i * kPage < from.stored; ++i) {
    int32_t page = from.pages[static_cast<size_t>(i)];
    cache_.share(page);
    to.pages.push_back(i < whole ? page : cache_.copy(page));
  }
  active_.push_back(&to);
}

// Takes the decided tokens; called without the mutex, because callbacks are.
void Engine::settle(const Decision& d) {
  Sequence& s = *d.sequence;
  if (d.error) {
    s.job.error = d.error;  // all of the job ends with the next sweep
    return;
  }
  s.result.drafted += static_cast<int64_t>(d.planned->guesses.size());
  s.result.accepted += d.accepted;
  if (s.request().limit == 0) return finish(s, FinishReason::kLength);
  const int64_t before = s.stored;
  for (size_t i = 0; i < d.tokens.size() && !s.done && !s.job.cancelled; ++i)
    emit(s, d.tokens[i], d.scores.empty() ? std::vector<TokenScore>{} : d.scores[i]);
  if (s.stored) s.stored = std::min(before + d.accepted, s.length() - 1);
  s.draft_stored = std::min(s.draft_stored, before + d.accepted);  // what it read beyond was not said
  if (d.end && !s.done) finish(s, FinishReason::kEnd);
}

void Engine::emit(Sequence& s, int32_t token, std::vector<TokenScore> scores) {
  const Generation& r = s.request();
  if (s.produced() == 0) s.result.first_s = seconds_since(s.job.start);
  s.tokens.push_back(token);
  s.result.tokens.push_back({token, std::move(scores)});
  s.held += s.utf8.push(tokenizer_->decode(std::span(&token, 1), r.show_special));
  bool last = s.produced() >= r.limit || s.length() >= context_;
  if (last) s.held += s.utf8.finish();
  size_t certain = s.held.size();
  for (const std::string& stop : r.stop) {
    if (stop.empty()) continue;
    if (size_t at = s.held.find(stop); at != std::string::npos && (s.result.stop.empty() || at < certain)) {
      certain = at;
      s.result.stop = stop;
    }
  }
  const bool stopped = !s.result.stop.empty();
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
  if (r.on_token && !r.on_token({s.choice, token, s.result.tokens.back().scores, text})) s.job.cancelled = true;
  if (!s.job.cancelled && s.choice == 0 && !text.empty() && r.on_text && !r.on_text(text)) s.job.cancelled = true;
  if (s.job.cancelled) return;
  if (stopped) finish(s, FinishReason::kStop);
  else if (last) finish(s, FinishReason::kLength);
}

void Engine::finish(Sequence& s, FinishReason reason) {
  if (reason == FinishReason::kEnd) {  // what was held for a stop string is text after all
    std::string rest = s.held + s.utf8.finish();
    s.result.text += rest;
    const Generation& r = s.request();
    if (!rest.empty() && r.on_token) r.on_token({s.choice, -1, {}, rest});
    if (!rest.empty() && s.choice == 0 && r.on_text) r.on_text(rest);
  }
  s.result.reason = reason;
  s.result.total_s = seconds_since(s.job.start);
  s.done = true;
}

}  // namespace ingot
