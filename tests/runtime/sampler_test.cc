#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/gguf.h"
#include "runtime/sampling_advice.h"

namespace ingot {
namespace {

TEST(Sampler, KeepsToItsDistribution) {
  Sampling options;
  options.temperature = 1;
  options.seed = 3;
  const int32_t prompt[] = {0};
  Sampler sampler(options, prompt);
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

// tools/make_sampler_goldens.py
TEST(Sampler, DistributionsAsTransformers) {
  std::ifstream in(INGOT_TEST_DATA "/runtime/data/sampler.json");
  auto cases = nlohmann::json::parse(in);
  ASSERT_GE(cases.size(), 20u);
  int cut = 0;
  for (const auto& one : cases) {
    const auto& o = one["options"];
    Sampling options;
    options.temperature = o["temperature"], options.top_k = o["top_k"], options.top_p = o["top_p"], options.min_p = o["min_p"], options.typical = o["typical"],
    options.repetition = o["repetition"];
    auto logits = one["logits"].get<std::vector<float>>();
    auto expected = one["chances"].get<std::vector<double>>();
    Sampler sampler(options, one["prompt"].get<std::vector<int32_t>>());
    std::vector<double> found(expected.size(), 0.0);
    for (const auto& k : sampler.distribution(logits)) found[static_cast<size_t>(k.token)] = k.chance;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 2e-6) << o.dump() << " token " << i;
      EXPECT_EQ(found[i] == 0, expected[i] == 0) << o.dump() << " token " << i;
      cut += expected[i] == 0;
    }
  }
  EXPECT_GT(cut, 200);
}

TEST(Sampler, PenaltiesLookAtTheirWindow) {
  Sampling options;
  options.temperature = 1;
  options.presence = 0.5, options.frequency = 0.25, options.repetition = 2, options.penalty_window = 3;
  const int32_t prompt[] = {1, 2, 3, 4};
  Sampler sampler(options, prompt);
  for (int32_t t : {0, 2, 2}) sampler.accept(t);  // the window now holds 0, 2, 2
  std::vector<float> logits{1, 1, 1, 1, -1};
  sampler.distribution(logits);
  std::vector<float> again{1, 1, 1, 1, -1};
  // What the penalties make of them, by hand: 0: 1/2 - .75, 2: 1/2 - 1, the others untouched.
  double e[5] = {std::exp(-0.25), std::exp(1.0), std::exp(-0.5), std::exp(1.0), std::exp(-1.0)}, sum = e[0] + e[1] + e[2] + e[3] + e[4];
  const auto& kept = sampler.distribution(again);
  ASSERT_EQ(kept.size(), 5u);
  for (const auto& k : kept) EXPECT_NEAR(k.chance, e[k.token] / sum, 1e-6) << k.token;
}

TEST(Sampler, DryTakesFromWhatWouldRepeat) {
  Sampling options;
  options.temperature = 1;
  options.dry = 0.8, options.dry_base = 1.75, options.dry_allowed = 2;
  //                       a  b  c  d  .  a  b  c: "d" would repeat four, the three before it being there already
  const int32_t text[] = {1, 2, 3, 4, 9, 1, 2, 3};
  auto lost = [&](std::vector<int32_t> breakers) {
    Sampler sampler(options, text, breakers);
    std::vector<float> logits(10, 0.0f);
    double other = 0, taken = 0;
    for (const auto& k : sampler.distribution(logits)) (k.token == 4 ? taken : other) = k.chance;
    return std::log(other / taken);
  };
  EXPECT_NEAR(lost({}), 0.8 * 1.75, 1e-5);  // length 3, 2 allowed
  EXPECT_NEAR(lost({9}), 0.8 * 1.75, 1e-5);
  EXPECT_NEAR(lost({2}), 0, 1e-6);          // the repetition reaches back to the breaker only
  EXPECT_NEAR(lost({4}), 0, 1e-6);          // a breaker itself is free
}

TEST(SamplingAdvice, IsReadFromTheModelsFiles) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "sampling_advice";
  std::filesystem::create_directories(folder);
  std::filesystem::remove(folder / "generation_config.json");
  Sampling sampling;
  SamplingAdvice::of_folder(folder).apply(sampling);
  EXPECT_EQ(sampling.temperature, 0.8);
  std::ofstream(folder / "generation_config.json") << R"({"temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.05, "eos_token_id": [1, 2], "min_p": null})";
  SamplingAdvice::of_folder(folder).apply(sampling);
  EXPECT_EQ(sampling.temperature, 0.6);
  EXPECT_EQ(sampling.top_p, 0.9);
  EXPECT_EQ(sampling.top_k, 20);
  EXPECT_EQ(sampling.repetition, 1.05);
  EXPECT_EQ(sampling.min_p, 0);
  GgufWriter writer;  // what a folder advises is kept where it becomes a file
  SamplingAdvice::of_folder(folder).write(writer);
  const std::string bytes = writer.bytes();
  const auto file = Gguf::parse(std::as_bytes(std::span(bytes)), "written");
  EXPECT_FALSE(file->has("general.sampling.min_p"));
  Sampling again;
  SamplingAdvice::of_gguf(*file).apply(again);
  EXPECT_NEAR(again.temperature, 0.6, 1e-7);
  EXPECT_NEAR(again.top_p, 0.9, 1e-7);
  EXPECT_EQ(again.top_k, 20);
  EXPECT_NEAR(again.repetition, 1.05, 1e-7);
  std::ofstream(folder / "generation_config.json") << R"({"temperature": "hot"})";
  EXPECT_THROW(SamplingAdvice::of_folder(folder), Error);
  std::filesystem::remove_all(folder);
}

TEST(Sampler, TheSameSeedDrawsTheSame) {
  Sampling options;
  options.seed = 7, options.temperature = 1;
  auto draw = [&](uint64_t seed) {
    options.seed = seed;
    Sampler sampler(options, {});
    std::vector<int32_t> out;
    for (int i = 0; i < 50; ++i) {
      std::vector<float> logits(100, 0.0f);
      out.push_back(sampler.sample(logits));
    }
    return out;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

}  // namespace
}  // namespace ingot
