// Guessing ahead. A guess costs a row of the next pass and is kept only where the model draws the same token.
#include <algorithm>

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
  for (Planned& p : plan)
    if (p.most_guesses > 0) p.guesses = look_up(p.sequence->tokens, p.most_guesses);
}

}  // namespace ingot
