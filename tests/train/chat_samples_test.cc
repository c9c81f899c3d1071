// Conversations to samples: what counts, what is refused, what is cut.
#include "train/chat_samples.h"

#include <gtest/gtest.h>

#include <numeric>

namespace ingot {
namespace {

const char kTemplate[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::shared_ptr<Tokenizer> tokenizer(const char* chat_template) {
  const std::string_view texts[] = {"what is the name of the file that the parser reads first and why is it so"};
  const std::string specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  auto made = std::const_pointer_cast<Tokenizer>(train_tokenizer(texts, 300, PreTokenizer::kGpt2, specials));
  made->eos = 2;
  made->chat_template = chat_template;
  return made;
}

Conversation chat(std::vector<ChatMessage> messages) { return {std::move(messages), "test.jsonl", 1, 0}; }

// The tokens that are scored, in order.
std::string scored_text(const Tokenizer& t, const TuningSample& s) {
  std::vector<int32_t> ids;
  for (int32_t target : s.targets)
    if (target >= 0) ids.push_back(target);
  return t.decode(ids, true);
}

TEST(ChatSamples, OnlyAnswersCountAndTheirPromptIsServings) {
  auto t = tokenizer(kTemplate);
  ChatPrompt prompt(t);
  const auto out = chat_samples(prompt, {chat({{"system", "be brief"}, {"user", "what is it"}, {"assistant", "the file"}, {"user", "why"}, {"assistant", "so it is"}})}, 500,
                                TooLong::kRefuse);
  ASSERT_EQ(out.samples.size(), 1u);
  const TuningSample& s = out.samples[0];
  EXPECT_EQ(scored_text(*t, s), "the file<|im_end|>so it is<|im_end|>");
  EXPECT_EQ(s.scored(), out.scored);
  // What stands before the second answer is exactly what serving would send for it.
  const auto served = prompt.tokens(std::vector<ChatMessage>{{"system", "be brief"}, {"user", "what is it"}, {"assistant", "the file"}, {"user", "why"}}, true);
  EXPECT_TRUE(std::equal(served.begin(), served.end(), s.ids.begin()));
  EXPECT_GE(s.targets[served.size() - 1], 0);
  EXPECT_LT(s.targets[served.size() - 2], 0);
}

TEST(ChatSamples, NothingIsDroppedSilently) {
  auto t = tokenizer(kTemplate);
  ChatPrompt prompt(t);
  std::string longer;
  for (int i = 0; i < 60; ++i) longer += "the parser reads ";
  const std::vector<Conversation> all = {chat({{"user", "what"}}), chat({{"user", "what"}, {"assistant", "  "}}), chat({{"user", "what"}, {"assistant", longer}}),
                                         chat({{"user", "why"}, {"assistant", "so"}})};
  const auto refused = chat_samples(prompt, all, 64, TooLong::kRefuse);
  EXPECT_EQ(refused.samples.size(), 1u);
  EXPECT_EQ(refused.conversation, std::vector<size_t>{3});
  ASSERT_EQ(refused.refused.size(), 2u);
  EXPECT_EQ(refused.refused.at("no answer to learn from"), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(refused.refused.at("longer than 64 tokens"), std::vector<size_t>{2});

  const auto cut = chat_samples(prompt, all, 64, TooLong::kWindow), whole = chat_samples(prompt, all, 5000, TooLong::kRefuse);
  EXPECT_EQ(cut.windowed, 1u);
  EXPECT_GT(cut.windows, 2u);
  EXPECT_EQ(cut.scored, whole.scored);  // every token once
  std::string text;
  for (size_t i = 0; i < cut.samples.size(); ++i) {
    EXPECT_LE(cut.samples[i].ids.size(), 64u);
    if (cut.conversation[i] == 2) text += scored_text(*t, cut.samples[i]);
  }
  EXPECT_EQ(text, longer + "<|im_end|>");
}

TEST(ChatSamples, ATemplateThatRewritesHistoryMakesASampleAnAnswer) {
  // As models that think aloud do: earlier answers lose a part.
  auto t = tokenizer(
      "{% for message in messages %}<|im_start|>{{ message['role'] + '\\n' }}"
      "{% if message['role'] == 'assistant' and not loop.last %}{{ message['content'].split('|')[-1] }}{% else %}{{ message['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  ChatPrompt prompt(t);
  const auto out = chat_samples(prompt, {chat({{"user", "what"}, {"assistant", "the|file"}, {"user", "why"}, {"assistant", "so"}})}, 500, TooLong::kRefuse);
  ASSERT_EQ(out.samples.size(), 2u);
  EXPECT_EQ(scored_text(*t, out.samples[0]), "the|file<|im_end|>");
  EXPECT_EQ(scored_text(*t, out.samples[1]), "so<|im_end|>");
}

TEST(ChatSamples, RefusesAModelWithoutTemplateAndWhatATemplateRefuses) {
  EXPECT_THROW(ChatPrompt{tokenizer("")}, Error);
  auto t = tokenizer("{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ message['content'] }}<|im_end|>{% endfor %}");
  const auto out = chat_samples(ChatPrompt(t), {chat({{"system", "x"}, {"user", "a"}, {"assistant", "b"}})}, 500, TooLong::kRefuse);
  EXPECT_TRUE(out.samples.empty());
  EXPECT_EQ(out.refused.size(), 1u);
}

}  // namespace
}  // namespace ingot
