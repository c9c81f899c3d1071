// From logits to a token.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/random.h"

namespace ingot {

struct Sampling {
  double temperature = 0.8;   // 0: the likeliest token, ties to the lowest id
  int top_k = 0;              // 0: off
  double top_p = 1, min_p = 0;
  double repetition = 1, presence = 0, frequency = 0;  // penalties over prompt and text (Keskar 2019; OpenAI's two over the text alone)
  uint64_t seed = 0;
  std::map<int32_t, float> bias;
};

struct TokenScore {
  int32_t token;
  float logprob;  // natural logarithm, of the unchanged distribution
};

class Sampler {
 public:
  Sampler(const Sampling& options, std::span<const int32_t> prompt, int64_t vocab);
  // Changes `logits` in place. Remembers the token for the penalties.
  int32_t sample(std::span<float> logits);

 private:
  Sampling options_;
  Random random_;
  std::vector<int> seen_, produced_;  // by token
  std::vector<std::pair<float, int32_t>> order_;
};

// The chosen token's logprob first, then the `top` likeliest.
std::vector<TokenScore> logprobs(std::span<const float> logits, int32_t chosen, int top);

}  // namespace ingot
