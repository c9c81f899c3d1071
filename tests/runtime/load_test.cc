// Everything at once: adapters, constraints, cancellations, choices of sampling, shared beginnings, guesses, little memory. Each request
// gets the tokens that it gets alone.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/random.h"
#include "engine_fixture.h"
#include "kernels/target.h"
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

enum class LoadFamily { kLlama, kMistral, kGemma };

// Wide enough for blocks of 256. Mistral's window is shorter than the prompts; Gemma's layers are of two sorts.
std::shared_ptr<Llama> load_model(LoadFamily family, ElementType type, int64_t vocab) {
  LlamaConfig c;
  c.vocab = vocab, c.width = 256, c.layers = 2, c.heads = 4, c.groups = 2, c.head_size = c.rope_dims = 64, c.hidden = 256, c.context = 512;
  if (family == LoadFamily::kMistral) c.window = 37;
  if (family == LoadFamily::kGemma) {
    c.architecture = "gemma3", c.rope_layout = RopeLayout::kHalves, c.activation = Activation::kGeluTanh;
    c.window = 19, c.local = {true, false}, c.local_rope_base = 1000, c.head_norms = c.block_norms = true, c.embedding_scale = 16;
  }
  auto random = Llama::random(c, 5);
  for (Weight* w : random->weights())
    if (w->rows > 1)
      for (int64_t i = 0; i < w->size(); ++i) const_cast<float*>(w->f32())[i] *= 4;
  GgufWriter out;
  random->write(out, type, type);
  auto bytes = std::make_shared<std::string>(out.bytes());
  return Llama::load(Gguf::parse(std::as_bytes(std::span(*bytes)), "test", bytes));
}

TEST_F(EngineTest, UnderLoadTheSameOnEveryTargetTypeFamilyAndNumberOfThreads) {
  const Target before = active_target();
  const std::pair<ElementType, CacheType> types[] = {{ElementType::kQ8_0, CacheType::kF16}, {ElementType::kQ4_K, CacheType::kQ8}, {ElementType::kBF16, CacheType::kQ4}};
  ThreadTeam teams[] = {ThreadTeam(1), ThreadTeam(2)};
  int64_t preempted = 0, cached = 0, looked_up = 0, guessed = 0;
  for (Target target : available_targets()) {
    force_target(target);
    const auto start = std::chrono::steady_clock::now();
    const bool slow = target == Target::kGeneric;  // seconds per pass without vector instructions
    const int requests = slow ? 3 : 8;
    int which = 0;
    for (auto [type, cache] : types)
      for (LoadFamily family : {LoadFamily::kLlama, LoadFamily::kMistral, LoadFamily::kGemma}) {
        ++which;
        if (slow && which % 4 != 1) continue;  // each type and each family once
        const auto model = load_model(family, type, tokenizer_->size());
        const auto draft_model = load_model(family, ElementType::kQ8_0, tokenizer_->size());
        auto make = [&](int i) {
          Generation g = request(i + which);
          g.limit = slow ? 4 : 6 + i % 4 * 5;
          if (slow) g.prompt.resize(std::min<size_t>(g.prompt.size(), 30));
          return g;
        };
        EngineOptions plain;
        plain.cache = cache;
        std::vector<std::vector<int32_t>> alone;
        for (int i = 0; i < requests; ++i) alone.push_back(ids(Engine(model, tokenizer_, teams[0], plain).generate(make(i))));
        EXPECT_NE(alone[0], alone[1]);
        for (int guess : {0, 1, 2}) {  // no guesses, prompt look-up, a model's
          EngineOptions options = plain;
          options.rows = 23;
          options.running = 6;
          options.cache_bytes = model->make_cache(64, cache).page_bytes() * 9;  // less than all need at once
          options.draft = guess ? 3 : 0;
          if (guess == 2) options.draft_model = draft_model;
          Engine engine(model, tokenizer_, teams[(which + guess) % 2], options);
          std::vector<GenerationResult> results(static_cast<size_t>(requests));
          std::vector<std::thread> clients;
          for (int i = 0; i < requests; ++i) clients.emplace_back([&, i] { results[static_cast<size_t>(i)] = engine.generate(make(i)); });
          for (auto& client : clients) client.join();
          for (size_t i = 0; i < results.size(); ++i)
            EXPECT_EQ(ids(results[i]), alone[i]) << target_name(target) << " " << element_name(type) << " family " << static_cast<int>(family) << " guess " << guess << " request " << i;
          const EngineStats stats = engine.stats();
          preempted += stats.preempted, cached += stats.cached_tokens;
          (guess == 2 ? guessed : looked_up) += guess == 2 ? stats.accepted : stats.drafted;
        }
      }
    RecordProperty(std::string("seconds_") + std::string(target_name(target)), std::to_string(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()));
  }
  force_target(before);
  EXPECT_GT(preempted, 0);
  EXPECT_GT(cached, 0);
  EXPECT_GT(looked_up, 0);
  EXPECT_GT(guessed, 0);
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
