#include "runtime/engine.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"
#include "kernels/target.h"

namespace ingot {
namespace {

// A random model speaks nonsense, which is enough to see whether the same request gives the same nonsense.
class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "the river number " + std::to_string(i * 37 % 101) + " runs to the sea of grass\n";
    const std::string_view texts[] = {text};
    const std::string specials[] = {"<|endoftext|>"};
    tokenizer_ = train_tokenizer(texts, 320, PreTokenizer::kSmolLm, specials);
    LlamaConfig c;
    c.vocab = tokenizer_->size(), c.width = 64, c.layers = 2, c.heads = 4, c.groups = 2, c.head_size = c.rope_dims = 16, c.hidden = 96, c.context = 512;
    auto random = Llama::random(c, 9);
    for (Weight* w : random->weights())  // larger than at birth, so that the logits differ
      if (w->rows > 1)
        for (int64_t i = 0; i < w->size(); ++i) const_cast<float*>(w->f32())[i] *= 8;
    GgufWriter out;
    random->write(out, ElementType::kQ8_0, ElementType::kQ8_0);
    bytes_ = out.bytes();
    model_ = Llama::load(Gguf::parse(std::as_bytes(std::span(bytes_)), "test"));
  }
  static void TearDownTestSuite() {
    model_.reset();
    tokenizer_.reset();
  }

  static Generation request(int i) {
    Generation g;
    std::string text = "the river number ";
    for (int j = 0; j < 3 + i * 9 % 40; ++j) text += std::to_string((i % 3) * 100 + j) + " runs ";  // several share a beginning
    g.prompt = tokenizer_->encode(text);
    g.limit = 5 + i % 7 * 6;
    g.sampling.temperature = i % 4 ? 0.9 : 0;
    g.sampling.top_p = 0.95;
    g.sampling.repetition = i % 2 ? 1.1 : 1;
    g.sampling.seed = static_cast<uint64_t>(i);
    g.ignore_end = true;
    return g;
  }
  static std::vector<int32_t> ids(const GenerationResult& result) {
    std::vector<int32_t> out;
    for (const auto& token : result.tokens) out.push_back(token.id);
    return out;
  }

  static std::shared_ptr<const Tokenizer> tokenizer_;
  static std::shared_ptr<Llama> model_;
  static std::string bytes_;
  ThreadTeam team_{2};
};
std::shared_ptr<const Tokenizer> EngineTest::tokenizer_;
std::shared_ptr<Llama> EngineTest::model_;
std::string EngineTest::bytes_;

TEST_F(EngineTest, TokensDoNotDependOnCompanyChunksOrPrefixCache) {
  constexpr int kRequests = 24;
  const Target before = active_target();
  for (Target target : available_targets()) {
    if (target == Target::kGeneric) continue;  // seconds per pass without vector instructions
    force_target(target);
    std::vector<std::vector<int32_t>> alone;
    for (int i = 0; i < kRequests; ++i) {
      Engine engine(model_, tokenizer_, team_);  // nothing cached
      alone.push_back(ids(engine.generate(request(i))));
      EXPECT_EQ(alone.back().size(), static_cast<size_t>(request(i).limit));
    }
    EXPECT_NE(alone[1], alone[2]);
    for (int64_t rows : {7, 256}) {
      EngineOptions options;
      options.rows = rows;
      Engine engine(model_, tokenizer_, team_, options);
      for (int round = 0; round < 2; ++round) {  // the second finds its prompts in the cache
        std::vector<std::thread> clients;
        std::vector<GenerationResult> results(kRequests);
        for (int i = 0; i < kRequests; ++i) clients.emplace_back([&, i] { results[static_cast<size_t>(i)] = engine.generate(request(i)); });
        for (auto& client : clients) client.join();
        int64_t cached = 0;
        for (int i = 0; i < kRequests; ++i) {
          EXPECT_EQ(ids(results[static_cast<size_t>(i)]), alone[static_cast<size_t>(i)]) << target_name(target) << " request " << i << " rows " << rows;
          cached += results[static_cast<size_t>(i)].cached;
        }
        if (round) {
          EXPECT_GT(cached, 0);
        }
      }
    }
  }
  force_target(before);
}

TEST_F(EngineTest, ATightCacheServesAllInTurn) {
  EngineOptions options;
  options.cache_bytes = int64_t{10} * 2 * 2 * 2 * 16 * 64 * 2;  // ten pages
  Engine engine(model_, tokenizer_, team_, options);
  std::vector<std::thread> clients;
  std::atomic<int> right = 0;
  for (int i = 0; i < 12; ++i)
    clients.emplace_back([&, i] { right += engine.generate(request(i)).tokens.size() == static_cast<size_t>(request(i).limit); });
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 12);
}

TEST_F(EngineTest, StopStringsSpanTokensAndAreNotGivenOut) {
  Engine engine(model_, tokenizer_, team_);
  Generation g = request(4);
  g.limit = 40;
  std::string whole = engine.generate(g).text;
  ASSERT_GT(whole.size(), 20u);
  std::string streamed;
  g.stop = {whole.substr(9, 6)};
  g.on_text = [&](std::string_view text) {
    streamed += text;
    return true;
  };
  auto result = engine.generate(g);
  EXPECT_EQ(result.text, whole.substr(0, whole.find(g.stop[0])));
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(result.reason, FinishReason::kStop);
}

TEST_F(EngineTest, CancelsAndGoesOn) {
  Engine engine(model_, tokenizer_, team_);
  Generation g = request(4);
  g.limit = 200;
  int calls = 0;
  g.on_text = [&](std::string_view) { return ++calls < 3; };
  auto result = engine.generate(g);
  EXPECT_EQ(result.reason, FinishReason::kCancelled);
  EXPECT_LT(result.tokens.size(), 200u);
  EXPECT_EQ(engine.generate(request(1)).reason, FinishReason::kLength);
}

TEST_F(EngineTest, LogprobsAreOfTheUnchangedDistribution) {
  Engine engine(model_, tokenizer_, team_);
  Generation g = request(0);
  g.top_logprobs = 3;
  auto result = engine.generate(g);
  for (const auto& token : result.tokens) {
    ASSERT_EQ(token.scores.size(), 4u);
    EXPECT_EQ(token.scores[0].token, token.scores[1].token);  // temperature 0 takes the likeliest
    EXPECT_LE(token.scores[2].logprob, token.scores[1].logprob);
    EXPECT_LE(token.scores[0].logprob, 0);
  }
}

TEST_F(EngineTest, APromptThatIsTooLongIsRefusedWithBothNumbers) {
  Engine engine(model_, tokenizer_, team_);
  Generation g;
  g.prompt.assign(600, 5);
  try {
    engine.generate(g);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.problem.find("600"), std::string::npos);
    EXPECT_NE(e.problem.find("512"), std::string::npos);
  }
  g.prompt = {};
  EXPECT_THROW(engine.generate(g), Error);
  g.prompt = {100000};
  EXPECT_THROW(engine.generate(g), Error);
}

TEST(Sampler, KeepsToItsDistribution) {
  Sampling options;
  options.temperature = 1;
  options.seed = 3;
  const int32_t prompt[] = {0};
  Sampler sampler(options, prompt, 4);
  int counts[4] = {};
  for (int i = 0; i < 40000; ++i) {
    float logits[4] = {0, std::log(2.0f), std::log(4.0f), -1e9f};
    ++counts[sampler.sample(logits)];
  }
  EXPECT_NEAR(counts[0] / 40000.0, 1 / 7.0, 0.01);
  EXPECT_NEAR(counts[1] / 40000.0, 2 / 7.0, 0.01);
  EXPECT_NEAR(counts[2] / 40000.0, 4 / 7.0, 0.01);
  EXPECT_EQ(counts[3], 0);
}

}  // namespace
}  // namespace ingot
