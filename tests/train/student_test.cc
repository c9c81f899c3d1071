// Smaller models out of larger ones: plan, prune, trim.
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "train/prune.h"
#include "train/student_plan.h"
#include "train/teacher.h"
#include "train/vocabulary_trim.h"

namespace ingot {
namespace {

LlamaConfig smollm() {
  LlamaConfig c;
  c.vocab = 49152, c.width = 576, c.layers = 30, c.heads = 9, c.groups = 3, c.head_size = c.rope_dims = 64, c.hidden = 1536, c.context = 2048;
  return c;
}

TEST(StudentPlan, FitsAndRefuses) {
  for (auto [vocab, size] : {std::pair<int64_t, int64_t>{49152, 100'000'000}, {49152, 60'000'000}, {9000, 60'000'000}, {9000, 15'000'000}, {6000, 5'000'000}}) {
    const LlamaConfig c = plan_student(smollm(), vocab, size);
    EXPECT_LE(c.parameters(), size);
    EXPECT_GT(c.parameters(), size * 9 / 10);
    EXPECT_EQ(c.heads, c.groups * 3);
    EXPECT_EQ(c.width % 32 + c.hidden % 32, 0);
  }
  EXPECT_EQ(plan_student(smollm(), 9000, 60'000'000).width, 576);  // layers and channels reach that
  EXPECT_THROW(plan_student(smollm(), 49152, 1'000'000), Error);
  EXPECT_EQ(parse_student_size("60M").value, 60e6);
  EXPECT_EQ(static_cast<int>(parse_student_size("16MB").unit), static_cast<int>(StudentSize::Unit::kBytes));
  EXPECT_EQ(parse_student_size("200tok/s").value, 200);
  for (const char* bad : {"", "M", "-3M", "60", "60X", "nanM"}) EXPECT_THROW(parse_student_size(bad), Error) << bad;
}

std::vector<TuningSample> samples() {
  Random random(3);
  std::vector<TuningSample> list;
  for (int s = 0; s < 4; ++s) {
    TuningSample one;
    for (int i = 0; i < 30; ++i) {
      one.ids.push_back(static_cast<int32_t>(random.below(50)));
      one.targets.push_back(i % 3 ? static_cast<int32_t>(random.below(50)) : -1);
    }
    list.push_back(one);
  }
  return list;
}

LlamaConfig tiny() {
  LlamaConfig c;
  c.vocab = 50, c.width = 64, c.layers = 4, c.heads = 4, c.groups = 2, c.head_size = c.rope_dims = 16, c.hidden = 96, c.context = 64;
  return c;
}

std::vector<float> logits(const Llama& model, const std::vector<int32_t>& ids, ThreadTeam& team) {
  Arena arena;
  Context c{team, arena};
  Tensor y = model.logits(c, model.dense(c, ids, static_cast<int64_t>(ids.size())));
  return {y.data, y.data + y.size()};
}

// What does nothing is found to be unimportant, and cutting it changes nothing.
TEST(Prune, CutsWhatDoesNothing) {
  ThreadTeam team(2);
  auto model = Llama::random(tiny(), 3);
  for (Weight* w : model->weights()) {
    auto* values = const_cast<float*>(w->f32());
    const int64_t n = w->size();
    for (int64_t i = 0; i < n; ++i) values[i] *= w->rows > 1 ? 8 : 1;
    if (w->name == "blk.1.attn_output.weight" || w->name == "blk.1.ffn_down.weight") std::fill(values, values + n, 0.0f);  // a layer
    const bool down = w->name.ends_with("ffn_down.weight");
    for (int64_t r = 0; r < w->rows; ++r) {
      if (down)
        for (int64_t j = 32; j < 64; ++j) values[r * w->cols + j] = 0;  // a third of the channels
      if (w->name.ends_with("attn_output.weight"))
        for (int64_t j = 0; j < 32; ++j) values[r * w->cols + j] = 0;   // the first of two groups
    }
  }
  const auto data = samples();
  const UnitImportance importance = measure_importance(*model, data, team);
  EXPECT_LT(importance.layer[1], 1e-6);
  LlamaConfig smaller = tiny();
  smaller.layers = 3, smaller.groups = 1, smaller.heads = 2, smaller.hidden = 64;
  auto cut = prune(*model, importance, smaller, {});
  const auto before = logits(*model, data[0].ids, team), after = logits(*cut, data[0].ids, team);
  for (size_t i = 0; i < before.size(); ++i) ASSERT_NEAR(before[i], after[i], 1e-4f * (1 + std::abs(before[i])));
  // Fewer tokens: the logits of those that stay are the same.
  std::vector<int32_t> kept, ids;
  for (int32_t t = 0; t < 50; t += 2) kept.push_back(t);
  for (int32_t t = 0; t < 20; ++t) ids.push_back(t);
  smaller.vocab = 25;
  auto trimmed = prune(*model, importance, smaller, kept);
  std::vector<int32_t> whole;
  for (int32_t t : ids) whole.push_back(kept[static_cast<size_t>(t)]);
  const auto large = logits(*model, whole, team), small = logits(*trimmed, ids, team);
  for (size_t r = 0; r < ids.size(); ++r)
    for (size_t j = 0; j < kept.size(); ++j) ASSERT_NEAR(small[r * 25 + j], large[r * 50 + static_cast<size_t>(kept[j])], 1e-4f * (1 + std::abs(large[r * 50 + static_cast<size_t>(kept[j])])));
}

TEST(Teacher, LikeliestTokensAreKeptAndReadAgain) {
  ThreadTeam team(2);
  auto model = Llama::random(tiny(), 5);
  auto first = samples(), second = first;
  const auto cache = std::filesystem::path(testing::TempDir()) / "ingot_teacher";
  std::filesystem::remove(cache);
  ask_teacher(*model, first, {}, {4, {}}, cache, "t", team);
  const auto all = logits(*model, first[1].ids, team);
  size_t at = 0;
  for (size_t i = 0; i < first[1].ids.size(); ++i) {
    if (first[1].targets[i] < 0) continue;
    const float* row = all.data() + i * 50;
    EXPECT_EQ(first[1].teacher_tokens[at], std::max_element(row, row + 50) - row);
    for (int j = 0; j < 4; ++j) EXPECT_NEAR(first[1].teacher_logits[at + static_cast<size_t>(j)], row[first[1].teacher_tokens[at + static_cast<size_t>(j)]], 1e-4);
    at += 4;
  }
  auto other = Llama::random(tiny(), 6);  // not asked: the cache answers
  ask_teacher(*other, second, {}, {4, {}}, cache, "t", team);
  EXPECT_EQ(second[3].teacher_logits, first[3].teacher_logits);
  ask_teacher(*other, second, {}, {4, {}}, cache, "another", team);
  EXPECT_NE(second[3].teacher_logits, first[3].teacher_logits);
  // A student that learns from it comes nearer to it.
  auto student = Llama::random(tiny(), 9);
  TuningPlan plan;
  plan.training.batch = 4, plan.training.steps = 100, plan.training.warmup = 3, plan.training.rate = 1e-2;
  plan.teacher_k = 4, plan.soft = 1, plan.temperature = 2;
  Tuner tuner(student, student->weights(), first, plan, "", team);
  const double begun = tuner.step();
  double last = begun;
  while (tuner.steps_taken() < 100) last = tuner.step();
  EXPECT_LT(last, begun / 2);
}

TEST(VocabularyTrim, CutsTextAsTheWholeDoes) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "the parser reads the file and the reader parses what the filer filed again and again under the reading lamp ";
  const std::string_view texts[] = {text};
  const std::string specials[] = {"<|endoftext|>", "<|im_end|>"};
  auto whole = std::const_pointer_cast<Tokenizer>(train_tokenizer(texts, 400, PreTokenizer::kSmolLm, specials));
  whole->eos = 1;
  whole->chat_template = "x";
  std::vector<bool> used(static_cast<size_t>(whole->size()));
  const std::string some = "the file reader reads<|im_end|>";
  for (int32_t id : whole->encode(some)) used[static_cast<size_t>(id)] = true;
  const TrimmedVocabulary small = trim_vocabulary(*whole, used);
  EXPECT_LT(small.tokenizer->size(), whole->size() - 20);
  EXPECT_EQ(small.tokenizer->chat_template, "x");
  EXPECT_EQ(small.kept[static_cast<size_t>(small.tokenizer->eos)], 1);
  std::vector<int32_t> back;
  for (int32_t id : small.tokenizer->encode(some)) back.push_back(small.kept[static_cast<size_t>(id)]);
  EXPECT_EQ(back, whole->encode(some));
  const std::string other = "zebra the lamp \xe4\xb8\xad!";
  EXPECT_EQ(small.tokenizer->decode(small.tokenizer->encode(other)), other);
}

}  // namespace
}  // namespace ingot
