#include "train/chat_samples.h"

#include <algorithm>

#include "core/error.h"

namespace ingot {
namespace {

struct Tokens {
  std::vector<int32_t> ids;
  std::vector<bool> scored;  // ids[i] is a token the model should have said
};

// Appends `messages[0, upto)` and the answer messages[upto] to what `out` holds of the conversation so far, if serving's prompt for
// this answer begins with exactly that; otherwise out becomes this answer's own sample and the earlier one is kept.
void add_answer(const ChatPrompt& prompt, const std::vector<ChatMessage>& messages, size_t upto, std::vector<Tokens>& out, std::string& refusal) {
  const std::vector<ChatMessage> before(messages.begin(), messages.begin() + static_cast<long>(upto));
  std::vector<ChatMessage> with = before;
  with.push_back(messages[upto]);
  const std::string asked = prompt.text(before, true), answered = prompt.text(with, false);
  if (!answered.starts_with(asked)) {
    refusal = "the template writes an answered question otherwise than the question";
    return;
  }
  const auto question = prompt.tokens(asked);
  // A template may end an answer with its end token and a line break; the model stops at the end token, so nothing after it counts.
  std::vector<int32_t> answer = prompt.tokens(std::string_view(answered).substr(asked.size()));
  size_t count = answer.size();
  while (count > 0 && !prompt.tokenizer().is_special(answer[count - 1])) --count;
  if (count == 0) count = answer.size();
  if (out.empty() || out.back().ids.size() > question.size() || !std::equal(out.back().ids.begin(), out.back().ids.end(), question.begin())) out.emplace_back();
  Tokens& to = out.back();
  to.scored.resize(question.size(), false);
  to.ids = question;
  to.ids.insert(to.ids.end(), answer.begin(), answer.begin() + static_cast<long>(count));
  to.scored.resize(to.ids.size(), true);
}

TuningSample sample_of(const Tokens& tokens, size_t from, size_t to, size_t score_from) {
  TuningSample sample;
  for (size_t i = from; i + 1 < to; ++i) {
    sample.ids.push_back(tokens.ids[i]);
    sample.targets.push_back(i + 1 >= score_from && tokens.scored[i + 1] ? tokens.ids[i + 1] : -1);
  }
  while (!sample.targets.empty() && sample.targets.back() < 0) sample.ids.pop_back(), sample.targets.pop_back();
  return sample;
}

}  // namespace

ChatSamples chat_samples(const ChatPrompt& prompt, const std::vector<Conversation>& conversations, int64_t longest, TooLong too_long) {
  ChatSamples out;
  for (size_t index = 0; index < conversations.size(); ++index) {
    const auto& messages = conversations[index].messages;
    std::vector<Tokens> parts;
    std::string refusal;
    try {
      for (size_t m = 0; m < messages.size() && refusal.empty(); ++m)
        if (messages[m].role == "assistant" && messages[m].content.find_first_not_of(" \t\r\n") != std::string::npos)
          add_answer(prompt, messages, m, parts, refusal);
    } catch (const Error& error) {
      refusal = "the template refuses it: " + error.problem;
    }
    if (refusal.empty() && parts.empty()) refusal = "no answer to learn from";
    const bool over = std::any_of(parts.begin(), parts.end(), [&](const Tokens& t) { return static_cast<int64_t>(t.ids.size()) > longest; });
    if (refusal.empty() && over && too_long == TooLong::kRefuse) refusal = "longer than " + std::to_string(longest) + " tokens";
    if (!refusal.empty()) {
      out.refused[refusal].push_back(index);
      continue;
    }
    out.windowed += over;
    for (const Tokens& tokens : parts) {
      const size_t most = static_cast<size_t>(longest), half = std::max<size_t>(1, most / 2);
      for (size_t from = 0, scored = 0; scored < tokens.ids.size(); from += half) {
        const size_t to = std::min(tokens.ids.size(), from + most);
        TuningSample sample = sample_of(tokens, from, to, std::max<size_t>(scored, 1));
        scored = to;
        if (sample.ids.empty()) continue;
        out.windows += over;
        out.tokens += static_cast<int64_t>(sample.ids.size());
        out.scored += sample.scored();
        out.samples.push_back(std::move(sample));
        out.conversation.push_back(index);
      }
    }
  }
  return out;
}

}  // namespace ingot
