// Who is served when: queues, users, priorities, cancellation, choices, memory that does not suffice.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "core/error.h"
#include "engine_fixture.h"

namespace ingot {
namespace {

// Two layers, two groups of 16, keys and values in f16: what a page of the fixture's model takes.
constexpr int64_t kPageBytes = int64_t{2} * 2 * 2 * 16 * 64 * 2;

TEST_F(EngineTest, ChoicesShareThePromptAndAreThoseOfTheirSeeds) {
  Generation g = request(5);
  g.limit = 20;
  g.choices = 5;
  std::vector<int> events(5, 0);
  std::vector<std::string> texts(5);
  g.on_token = [&](const TokenEvent& e) {
    events[static_cast<size_t>(e.choice)] += e.token >= 0;
    texts[static_cast<size_t>(e.choice)] += e.text;
    return true;
  };
  for (int64_t pages : {100, 4}) {  // with four pages the choices take turns
    EngineOptions options;
    options.cache_bytes = pages * kPageBytes;
    Engine engine(model_, tokenizer_, team_, options);
    events.assign(5, 0);
    texts.assign(5, "");
    auto choices = engine.generate_choices(g);
    ASSERT_EQ(choices.size(), 5u);
    for (int i = 0; i < 5; ++i) {
      Generation one = request(5);
      one.limit = 20;
      one.sampling.seed += static_cast<uint64_t>(i) * 0xd1342543de82ef95u;
      Engine alone(model_, tokenizer_, team_);
      EXPECT_EQ(ids(choices[static_cast<size_t>(i)]), ids(alone.generate(one))) << i;
      EXPECT_EQ(events[static_cast<size_t>(i)], 20);
      EXPECT_EQ(texts[static_cast<size_t>(i)], choices[static_cast<size_t>(i)].text);
    }
    EXPECT_NE(ids(choices[0]), ids(choices[1]));
    if (pages == 100) {
      EXPECT_EQ(engine.stats().prompt_tokens, static_cast<int64_t>(g.prompt.size()));  // once for all
    }
  }
}

TEST_F(EngineTest, SetAsideAndTakenUpAgainGivesTheSameTokens) {
  std::vector<std::vector<int32_t>> alone;
  auto long_request = [](int i) {
    Generation g = request(i);
    g.limit = 150;
    return g;
  };
  for (int i = 0; i < 6; ++i) alone.push_back(ids(Engine(model_, tokenizer_, team_).generate(long_request(i))));
  EngineOptions options;
  options.cache_bytes = 8 * kPageBytes;  // each needs three or more in the end
  Engine engine(model_, tokenizer_, team_, options);
  std::vector<std::thread> clients;
  std::vector<GenerationResult> results(6);
  for (int i = 0; i < 6; ++i) clients.emplace_back([&, i] { results[static_cast<size_t>(i)] = engine.generate(long_request(i)); });
  for (auto& client : clients) client.join();
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(ids(results[i]), alone[i]) << i;
  EXPECT_GT(engine.stats().preempted, 0);
}

// Holds the engine at its first token until everybody has come.
class Gate {
 public:
  explicit Gate(Engine& engine) : engine_(engine) {}
  std::function<bool(const TokenEvent&)> callback() {
    return [this](const TokenEvent&) {
      while (!open) std::this_thread::yield();
      return true;
    };
  }
  // The same, and calls `begins` at the first token, before waiting.
  std::function<bool(const TokenEvent&)> callback(std::function<void()> begins) {
    return [wait = callback(), begins = std::move(begins), first = true](const TokenEvent& event) mutable {
      if (std::exchange(first, false)) begins();
      return wait(event);
    };
  }
  void wait_for(int64_t requests) {
    while (engine_.stats().requests < requests) std::this_thread::yield();
  }
  std::atomic<bool> open = false;

 private:
  Engine& engine_;
};

TEST_F(EngineTest, AFullQueueRefuses) {
  EngineOptions options;
  options.running = 1;
  options.queue = 1;
  Engine engine(model_, tokenizer_, team_, options);
  std::atomic<bool> cancel = false;
  auto flag = std::shared_ptr<const std::atomic<bool>>(&cancel, [](auto*) {});
  Generation g = request(4);
  g.limit = 400;
  g.cancel = flag;
  Gate gate(engine);
  g.on_token = gate.callback();
  std::vector<std::thread> clients;
  std::atomic<int> cancelled = 0;
  auto client = [&] { cancelled += engine.generate(g).reason == FinishReason::kCancelled; };
  clients.emplace_back(client);
  while (engine.stats().running < 1) std::this_thread::yield();
  clients.emplace_back(client);
  while (engine.stats().waiting < 1) std::this_thread::yield();
  EXPECT_THROW(engine.generate(request(1)), QueueFull);
  cancel = true;  // one is running, one waits: both end
  gate.open = true;
  for (auto& c : clients) c.join();
  EXPECT_EQ(cancelled, 2);
  EXPECT_EQ(engine.stats().refused, 1);
  EXPECT_EQ(engine.stats().cancelled, 2);
  EXPECT_EQ(engine.generate(request(1)).reason, FinishReason::kLength);
  EXPECT_EQ(engine.stats().running, 0);
}

// Another request's tokens, one a pass, say when the prompt is being read: on the engine's own thread, so that no fast machine gets past it.
TEST_F(EngineTest, CancelsInTheMiddleOfAPrompt) {
  EngineOptions options;
  options.rows = 4;
  Engine engine(model_, tokenizer_, team_, options);
  std::atomic<bool> cancel = false;
  Generation g = request(4), watcher = request(200);
  while (g.prompt.size() < 480) g.prompt.push_back(g.prompt[g.prompt.size() % 17]);
  g.cancel = std::shared_ptr<const std::atomic<bool>>(&cancel, [](auto*) {});
  watcher.ignore_end = true;
  watcher.limit = 300;
  const auto own = static_cast<int64_t>(watcher.prompt.size());
  GenerationResult result;
  std::thread client;
  watcher.on_token = [&](const TokenEvent&) {
    if (!client.joinable()) {
      client = std::thread([&] { result = engine.generate(g); });
      while (engine.stats().waiting < 1) std::this_thread::yield();
    }
    if (engine.stats().prompt_tokens >= own + 20) cancel = true;
    return !cancel;
  };
  engine.generate(watcher);
  ASSERT_TRUE(client.joinable());
  client.join();
  EXPECT_TRUE(cancel);
  EXPECT_EQ(result.reason, FinishReason::kCancelled);
  EXPECT_TRUE(result.tokens.empty());
  EXPECT_LT(engine.stats().prompt_tokens, own + 480);
}

TEST_F(EngineTest, RefusesANumberThatIsNone) {
  Engine engine(model_, tokenizer_, team_);
  for (double Sampling::*field : {&Sampling::temperature, &Sampling::top_p, &Sampling::min_p, &Sampling::typical, &Sampling::repetition, &Sampling::frequency, &Sampling::dry}) {
    Generation g = request(1);
    g.sampling.*field = std::nan("");
    EXPECT_THROW(engine.generate(g), Error);
  }
}

TEST_F(EngineTest, AGreedyUserDoesNotStarveAnother) {
  EngineOptions options;
  options.running = 2;
  Engine engine(model_, tokenizer_, team_, options);
  Gate gate(engine);
  std::mutex mutex;
  std::vector<std::string> began;  // by their first tokens: when a client's thread hears that all is over is the machine's affair
  std::vector<std::thread> clients;
  auto client = [&](std::string user, int i) {
    Generation g = request(i);
    g.limit = 60;
    g.user = user;
    g.on_token = gate.callback([&] {
      std::lock_guard lock(mutex);
      began.push_back(user);
    });
    engine.generate(g);
  };
  for (int i = 0; i < 10; ++i) clients.emplace_back(client, "greedy", i);
  gate.wait_for(10);
  clients.emplace_back(client, "modest", 3);
  gate.wait_for(11);
  gate.open = true;
  for (auto& c : clients) c.join();
  auto at = std::find(began.begin(), began.end(), "modest") - began.begin();
  EXPECT_LE(at, 3);  // ahead of nearly all that were there before it
}

TEST_F(EngineTest, PriorityGoesFirst) {
  EngineOptions options;
  options.running = 1;
  Engine engine(model_, tokenizer_, team_, options);
  Gate gate(engine);
  std::mutex mutex;
  std::vector<int> began;
  std::vector<std::thread> clients;
  auto client = [&](int priority) {
    Generation g = request(4);
    g.limit = 100;
    g.priority = priority;
    g.on_token = gate.callback([&] {
      std::lock_guard lock(mutex);
      began.push_back(priority);
    });
    engine.generate(g);
  };
  for (int i = 0; i < 4; ++i) clients.emplace_back(client, 0);
  gate.wait_for(4);
  clients.emplace_back(client, 1);
  gate.wait_for(5);
  gate.open = true;
  for (auto& c : clients) c.join();
  auto at = std::find(began.begin(), began.end(), 1) - began.begin();
  EXPECT_LE(at, 1);
}

TEST_F(EngineTest, GuessingAheadDoesNotChangeTheTokens) {
  int64_t accepted = 0;
  for (int i = 0; i < 12; ++i) {
    Generation g = request(i);
    g.limit = 80;
    if (i % 2) g.sampling.repetition = 1;
    auto plain = Engine(model_, tokenizer_, team_).generate(g);
    EngineOptions options;
    options.draft = 1 + i % 6;
    Engine engine(model_, tokenizer_, team_, options);
    auto guessed = engine.generate(g);
    EXPECT_EQ(ids(guessed), ids(plain)) << i;
    EXPECT_EQ(guessed.text, plain.text);
    EXPECT_LE(guessed.accepted, guessed.drafted);
    accepted += guessed.accepted;
  }
  EXPECT_GT(accepted, 20);
}

// Draws are coupled through the random numbers, so the tokens are those without a draft, drawn or not: the distribution is the model's.
TEST_F(EngineTest, ADraftModelDoesNotChangeTheTokens) {
  LlamaConfig c = model_->config();
  c.width = 32, c.layers = 1, c.heads = 2, c.groups = 1, c.hidden = 48;
  std::shared_ptr<Llama> other = Llama::random(c, 4);
  int64_t drafted[2] = {}, accepted[2] = {};
  for (int i = 0; i < 8; ++i) {
    Generation g = request(i);
    g.limit = 40;
    auto plain = Engine(model_, tokenizer_, team_).generate(g);
    for (int own : {0, 1}) {
      EngineOptions options;
      options.draft = 4;
      options.draft_model = own ? std::shared_ptr<const Llama>(model_) : other;
      Engine engine(model_, tokenizer_, team_, options);
      auto guessed = engine.generate(g);
      EXPECT_EQ(ids(guessed), ids(plain)) << i << (own ? " by itself" : " by another");
      drafted[own] += guessed.drafted;
      accepted[own] += guessed.accepted;
    }
  }
  EXPECT_EQ(accepted[1], drafted[1]);  // the model agrees with itself
  EXPECT_LT(accepted[0], drafted[0]);
  EXPECT_GT(drafted[0], 100);
}

TEST_F(EngineTest, PromptScoresAreThoseOfGenerating) {
  Engine engine(model_, tokenizer_, team_);
  Generation g = request(0);  // greedy
  g.sampling.repetition = 1;
  g.limit = 12;
  g.top_logprobs = 2;
  auto said = engine.generate(g);
  Generation echo = g;
  for (const auto& token : said.tokens) echo.prompt.push_back(token.id);
  echo.limit = 0;
  echo.prompt_logprobs = 2;
  auto scored = engine.generate(echo);
  ASSERT_EQ(scored.prompt_scores.size(), echo.prompt.size());
  EXPECT_TRUE(scored.prompt_scores[0].empty());
  EXPECT_TRUE(scored.tokens.empty());
  EXPECT_EQ(scored.reason, FinishReason::kLength);
  for (size_t i = 0; i < said.tokens.size(); ++i) {
    const auto& there = scored.prompt_scores[g.prompt.size() + i];
    ASSERT_EQ(there.size(), 3u);
    EXPECT_EQ(there[0].token, said.tokens[i].id);
    EXPECT_EQ(there[0].logprob, said.tokens[i].scores[0].logprob);
    EXPECT_EQ(there[1].token, said.tokens[i].scores[1].token);
  }
}

}  // namespace
}  // namespace ingot
