#include "engine_fixture.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <thread>

#include "core/error.h"
#include "core/random.h"
#include "formats/gguf.h"
#include "formats/safetensors_writer.h"
#include "kernels/target.h"
#include "models/llama/lora.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

// What an adapter does to the last product reaches its own requests, in a batch with others, guessed rows and scored prompts too.
TEST_F(EngineTest, AnAdapterOfTheHeadChangesItsOwnRequestsAlone) {
  Random random(11);
  SafetensorsWriter tensors;
  const auto add = [&](const std::string& name, int64_t rows, int64_t cols) {
    std::vector<float> values(static_cast<size_t>(rows * cols));
    for (float& v : values) v = static_cast<float>(random.normal() * 0.5);
    tensors.add("base_model.model." + name, {rows, cols}, values);
  };
  const int64_t vocab = model_->config().vocab, width = model_->config().width;
  add("model.embed_tokens.lora_embedding_A", 2, vocab), add("model.embed_tokens.lora_embedding_B", width, 2);
  add("lm_head.lora_A.weight", 2, width), add("lm_head.lora_B.weight", vocab, 2);
  const std::string bytes = tensors.bytes();
  const auto adapter = LoraAdapter::read(R"({"r":2,"lora_alpha":4})", std::as_bytes(std::span(bytes)), "test", *model_);
  const auto adapted = [&](int i) {
    Generation g = request(i);
    if (i % 2) g.adapter = adapter;
    if (i % 3 == 0) g.prompt_logprobs = 0;
    return g;
  };
  constexpr int kMixed = 8;
  EngineOptions options;
  options.draft = 3;
  Engine together(model_, tokenizer_, team_, options);
  std::vector<GenerationResult> results(kMixed);
  std::vector<std::thread> clients;
  for (int i = 0; i < kMixed; ++i) clients.emplace_back([&, i] { results[static_cast<size_t>(i)] = together.generate(adapted(i)); });
  for (auto& client : clients) client.join();
  for (int i = 0; i < kMixed; ++i) EXPECT_EQ(ids(results[static_cast<size_t>(i)]), ids(Engine(model_, tokenizer_, team_).generate(adapted(i)))) << i;
  EXPECT_NE(ids(results[1]), ids(Engine(model_, tokenizer_, team_).generate(request(1))));
  // The reference: the two matrices with the products added in, in F32.
  const auto file = fs::path(testing::TempDir()) / ("engine_adapter_" + std::to_string(getpid()) + ".gguf");
  EXPECT_EQ(merge_lora(*model_->file(), *model_, *adapter, file, ElementType::kF32).matrices, (std::map<ElementType, int64_t>{{ElementType::kF32, 2}}));
  const std::shared_ptr<const Llama> merged = Llama::load(Gguf::open(file));
  fs::remove(file);
  Generation scored = request(3);
  scored.prompt_logprobs = 0, scored.limit = 0;
  const auto base = Engine(model_, tokenizer_, team_).generate(scored).prompt_scores, wanted = Engine(merged, tokenizer_, team_).generate(scored).prompt_scores;
  scored.adapter = adapter;
  const auto got = Engine(model_, tokenizer_, team_).generate(scored).prompt_scores;
  double off = 0, moved = 0;
  for (size_t i = 1; i < got.size(); ++i) off = std::max(off, std::abs(static_cast<double>(got[i][0].logprob - wanted[i][0].logprob))), moved = std::max(moved, std::abs(static_cast<double>(base[i][0].logprob - wanted[i][0].logprob)));
  EXPECT_GT(moved, 20 * off) << off;  // what is left is the base's activations in 8 bits
}

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

TEST_F(EngineTest, QuantisedCachesKeepTheContract) {
  for (CacheType type : {CacheType::kQ8, CacheType::kQ4}) {
    constexpr int kRequests = 10;
    EngineOptions options;
    options.cache = type;
    std::vector<std::vector<int32_t>> alone;
    for (int i = 0; i < kRequests; ++i) alone.push_back(ids(Engine(model_, tokenizer_, team_, options).generate(request(i))));
    options.rows = 11;
    Engine engine(model_, tokenizer_, team_, options);
    for (int round = 0; round < 2; ++round) {  // the second finds its prompts in the cache
      std::vector<std::thread> clients;
      std::vector<GenerationResult> results(kRequests);
      for (int i = 0; i < kRequests; ++i) clients.emplace_back([&, i] { results[static_cast<size_t>(i)] = engine.generate(request(i)); });
      for (auto& client : clients) client.join();
      int64_t cached = 0;
      for (size_t i = 0; i < kRequests; ++i) {
        EXPECT_EQ(ids(results[i]), alone[i]) << i;
        cached += results[i].cached;
      }
      EXPECT_TRUE(!round || cached > 0);
    }
  }
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

}  // namespace
}  // namespace ingot
