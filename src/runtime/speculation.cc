// Guessing ahead. A guess costs a row of the next pass and is kept only where the model draws the same token.
#include <algorithm>
#include <cmath>

#include "runtime/engine_sequence.h"

namespace ingot {
namespace {

// Prompt look-up (Saxena 2023): what followed the last time that the text held its own last tokens, three of them or two.
std::vector<int32_t> look_up(const std::vector<int32_t>& text, int64_t most) {
  const size_t n = text.size();
  for (size_t length : {size_t{3}, size_t{2}}) {
    if (n <= length) continue;
    for (size_t end = n - 1; end >= length; --end)  // text[end - length, end) against the last ones
      if (std::equal(text.end() - static_cast<long>(length), text.end(), text.begin() + static_cast<long>(end - length))) {
        size_t count = std::min(static_cast<size_t>(most), n - end);
        return {text.begin() + static_cast<long>(end), text.begin() + static_cast<long>(end + count)};
      }
  }
  return {};
}

}  // namespace

void Engine::guess(std::vector<Planned>& plan) {
  if (draft_cache_) return draft(plan);
  for (Planned& p : plan)
    if (p.most_guesses > 0) p.guesses = look_up(p.sequence->tokens, p.most_guesses);
}

// The draft model goes ahead a token at a time, all sequences in one pass. It draws with a copy of the sequence's sampler, so with the
// random numbers that the model will draw with: where the two distributions agree, so do the draws (and what is drawn in the end does
// not depend on the draft at all).
void Engine::draft(std::vector<Planned>& plan) {
  struct Ahead {
    Planned* planned;
    std::vector<int32_t> tokens;
    Sampler sampler;
    std::shared_ptr<TokenConstraint> constraint;
  };
  std::vector<Ahead> ahead;
  for (Planned& p : plan) {
    Sequence& s = *p.sequence;
    if (p.most_guesses <= 0) continue;
    while (static_cast<int64_t>(s.draft_pages.size()) * kPage < s.length() + p.most_guesses && draft_cache_->free_pages()) s.draft_pages.push_back(draft_cache_->take());
    if (static_cast<int64_t>(s.draft_pages.size()) * kPage < s.length() + p.most_guesses) continue;
    ahead.push_back({&p, s.tokens, s.sampler, s.constraint ? s.constraint->fork() : nullptr});
  }
  Context c{team_, arena_};
  const auto vocab = static_cast<size_t>(tokenizer_->size());
  for (int64_t step = 0; !ahead.empty(); ++step) {
    auto mark = arena_.mark();
    std::vector<int32_t> ids;
    std::vector<RowPlace> places;
    std::vector<int64_t> last;  // the row that predicts, or -1 while the draft model still reads
    for (Ahead& a : ahead) {
      Sequence& s = *a.planned->sequence;
      const auto length = static_cast<int64_t>(a.tokens.size());
      int64_t count = std::min(length - s.draft_stored, std::max<int64_t>(1, options_.rows - static_cast<int64_t>(ids.size())));
      for (int64_t i = 0; i < count; ++i, ++s.draft_stored) {
        ids.push_back(a.tokens[static_cast<size_t>(s.draft_stored)]);
        places.push_back({s.draft_pages.data(), static_cast<int32_t>(s.draft_stored)});
      }
      last.push_back(s.draft_stored == length ? static_cast<int64_t>(ids.size()) - 1 : -1);
    }
    Tensor hidden = options_.draft_model->cached(c, ids, places, *draft_cache_);
    std::vector<Ahead> going;
    for (size_t i = 0; i < ahead.size(); ++i) {
      Ahead& a = ahead[i];
      if (last[i] < 0) {
        going.push_back(std::move(a));
        continue;
      }
      Tensor logits = options_.draft_model->logits(c, Tensor{hidden.row(last[i]), nullptr, 1, hidden.cols});
      std::span<float> row(logits.data, vocab);
      if (a.planned->sequence->request().ignore_end)
        for (int32_t end : ends_) row[static_cast<size_t>(end)] = -INFINITY;
      if (a.constraint) {
        a.constraint->mask(row);
        if (*std::max_element(row.begin(), row.end()) == -INFINITY) continue;
      }
      int32_t token = a.sampler.sample(row);
      if (is_end(token)) continue;
      if (a.constraint) a.constraint->accept(token);
      a.planned->guesses.push_back(token);
      a.tokens.push_back(token);
      if (static_cast<int64_t>(a.planned->guesses.size()) < a.planned->most_guesses) going.push_back(std::move(a));
    }
    ahead = std::move(going);
    arena_.release(mark);
  }
}

void Engine::forget_draft(Sequence& s) {
  for (int32_t page : s.draft_pages) draft_cache_->drop(page);
  s.draft_pages.clear();
  s.draft_stored = 0;
}

}  // namespace ingot
