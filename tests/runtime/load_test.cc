// Everything at once: adapters, constraints, cancellations, choices of sampling, shared beginnings, guesses, little memory. Each request
// gets the tokens that it gets alone.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "core/random.h"
#include "engine_fixture.h"
#include "models/llama/lora.h"
#include "runtime/constraint.h"

namespace ingot {
namespace {

std::shared_ptr<const LoraAdapter> random_adapter(const Llama& model, uint64_t seed, int64_t rank) {
  const LlamaConfig& c = model.config();
  const int64_t q = c.heads * c.head_size, kv = c.groups * c.head_size;
  const std::tuple<const char*, int64_t, int64_t> parts[] = {{"attn_q", q, c.width},         {"attn_v", kv, c.width},       {"attn_output", c.width, q},
                                                             {"ffn_gate", c.hidden, c.width}, {"ffn_down", c.width, c.hidden}};
  GgufWriter out;
  out.set("general.type", GgufValue::text("adapter"));
  out.set("general.architecture", GgufValue::text("llama"));
  out.set("adapter.type", GgufValue::text("lora"));
  out.set("adapter.lora.alpha", GgufValue::f32(static_cast<float>(rank)));
  Random random(seed);
  for (int64_t i = 0; i < c.layers; ++i)
    for (auto [name, rows, cols] : parts)
      for (const char* side : {"a", "b"}) {
        std::vector<int64_t> shape = *side == 'a' ? std::vector<int64_t>{rank, cols} : std::vector<int64_t>{rows, rank};
        std::vector<float> values(static_cast<size_t>(shape[0] * shape[1]));
        for (float& v : values) v = static_cast<float>(random.normal() * 0.2);
        out.add("blk." + std::to_string(i) + "." + name + ".weight.lora_" + side, shape, ElementType::kF32,
                std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
      }
  const auto path = std::filesystem::temp_directory_path() / ("ingot_load_" + std::to_string(::getpid()) + ".gguf");
  out.write(path);
  auto adapter = LoraAdapter::open(path, model);
  std::filesystem::remove(path);
  return adapter;
}

TEST_F(EngineTest, UnderLoadEveryRequestGetsTheTokensItGetsAlone) {
  constexpr int kRequests = 32;
  const std::shared_ptr<const LoraAdapter> adapters[] = {nullptr, random_adapter(*model_, 1, 4), random_adapter(*model_, 2, 9)};
  ConstraintFactory factory(tokenizer_);
  using Kind = ConstraintSpec::Kind;
  const ConstraintSpec specs[] = {{Kind::kRegex, "( ?(river|sea|grass|[0-9]{1,3})){4,12}\\.", {}},
                                  {Kind::kJsonSchema, R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string","maxLength":12}},"required":["a","b"]})", {}},
                                  {Kind::kChoice, "", {"the sea", "the river", "the sea of grass"}}};
  auto make = [&](int i) {
    Generation g = request(i);
    g.limit = 20 + i % 5 * 8;
    g.adapter = adapters[i % 3];
    g.user = "user" + std::to_string(i % 5);
    g.priority = i % 11 == 0;
    if (i % 4 == 1) {
      g.constraint = factory.make(specs[i / 4 % 3]);
      g.ignore_end = false;
    }
    if (i % 8 == 6) g.top_logprobs = 2;
    return g;
  };
  std::vector<GenerationResult> alone;
  for (int i = 0; i < kRequests; ++i) alone.push_back(Engine(model_, tokenizer_, team_).generate(make(i)));
  EXPECT_NE(ids(alone[0]), ids(alone[3]));
  for (int draft : {0, 3}) {
    EngineOptions options;
    options.rows = 40;
    options.running = 20;
    options.draft = draft;
    options.cache_bytes = int64_t{48} * 2 * 2 * 2 * 16 * 64 * 2;  // 48 pages: less than all need at once
    Engine engine(model_, tokenizer_, team_, options);
    for (int round = 0; round < 2; ++round) {
      std::vector<GenerationResult> results(kRequests);
      std::vector<std::thread> clients;
      for (int i = 0; i < kRequests; ++i)
        clients.emplace_back([&, i] {
          Generation g = make(i);
          int tokens = 0;
          if (i % 8 == 7) g.on_token = [&tokens](const TokenEvent&) { return ++tokens < 6; };
          results[static_cast<size_t>(i)] = engine.generate(g);
        });
      for (auto& client : clients) client.join();
      for (size_t i = 0; i < kRequests; ++i) {
        auto found = ids(results[i]), expected = ids(alone[i]);
        if (i % 8 == 7) {
          EXPECT_EQ(results[i].reason, FinishReason::kCancelled) << i;
          ASSERT_LE(found.size(), expected.size()) << i;
          expected.resize(found.size());
        } else {
          EXPECT_EQ(results[i].text, alone[i].text) << i;
        }
        EXPECT_EQ(found, expected) << i << " round " << round << " draft " << draft;
        for (size_t t = 0; t < found.size() && i % 8 == 6; ++t) EXPECT_EQ(results[i].tokens[t].scores[2].logprob, alone[i].tokens[t].scores[2].logprob);
      }
    }
    EngineStats stats = engine.stats();
    EXPECT_EQ(stats.running + stats.waiting, 0);
    EXPECT_GT(stats.cached_tokens, 0);
    EXPECT_EQ(stats.cancelled, 8);
    EXPECT_EQ(stats.accepted > 0, draft > 0);
  }
}

TEST_F(EngineTest, ConstraintsHoldWhateverIsDrawn) {
  ConstraintFactory factory(tokenizer_);
  Engine engine(model_, tokenizer_, team_);
  int whole = 0;
  for (int i = 0; i < 10; ++i) {
    Generation g = request(3);
    g.ignore_end = false;
    g.limit = 60;
    g.sampling.temperature = 1.5, g.sampling.top_p = 1, g.sampling.seed = static_cast<uint64_t>(i);
    g.constraint = factory.make({ConstraintSpec::Kind::kRegex, "[0-9]{3}-(sea|river)", {}});
    auto result = engine.generate(g);
    if (result.reason != FinishReason::kEnd) continue;
    ++whole;
    EXPECT_EQ(result.text.size(), result.text.ends_with("sea") ? 7u : 9u) << result.text;
    EXPECT_EQ(result.text[3], '-') << result.text;
    g.constraint = factory.make({ConstraintSpec::Kind::kChoice, "", {"yes", "no"}});
    auto text = engine.generate(g).text;
    EXPECT_TRUE(text == "yes" || text == "no") << text;
  }
  EXPECT_EQ(whole, 10);
}

}  // namespace
}  // namespace ingot
