// From logits to a token.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/random.h"

namespace ingot {

// In the order in which they act: bias, the three penalties, DRY, temperature, top-k, top-p, min-p, typical; each filter sees what the one
// before it left, made to sum to 1 again.
struct Sampling {
  double temperature = 0.8;   // 0: the likeliest token, ties to the lowest id
  int top_k = 0;              // 0: off
  double top_p = 1, min_p = 0;
  double typical = 1;         // mass kept by typical sampling (Meister 2022); 1: off
  double repetition = 1, presence = 0, frequency = 0;  // penalties over prompt and text (Keskar 2019; OpenAI's two over the text alone)
  int64_t penalty_window = 0;  // the three look at this many last tokens; 0: all
  double dry = 0;             // strength of "don't repeat yourself": dry * dry_base ^ (length - dry_allowed) off a token that would
  double dry_base = 1.75;     // make a repetition of `length` one longer; 0: off
  int64_t dry_allowed = 2, dry_window = 0;  // repetitions shorter than this are free; tokens looked at, 0: all
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};  // repetitions do not reach across tokens that hold one of these
  uint64_t seed = 0;
  std::map<int32_t, float> bias;
};

struct TokenScore {
  int32_t token;
  float logprob;  // natural logarithm, of the unchanged distribution
};

struct TokenChance {
  int32_t token;
  double chance;
};

// Copies go on independently from the same state.
class Sampler {
 public:
  Sampler(const Sampling& options, std::span<const int32_t> prompt, std::vector<int32_t> breakers = {});
  // Draws a token; changes `logits` in place. One random number a token, so that the stream does not depend on the logits.
  int32_t sample(std::span<float> logits);
  // What sample() draws from, by token, summing to 1; changes `logits` in place. Temperature 0 gives one token.
  const std::vector<TokenChance>& distribution(std::span<float> logits);
  // The token is part of the text now: the penalties see it.
  void accept(int32_t token);

 private:
  void penalise(std::span<float> logits);
  void penalise_repeats(std::span<float> logits);
  Sampling options_;
  Random random_;
  std::vector<int32_t> history_, breakers_;  // breakers sorted
  size_t prompt_;                            // tokens of history_ that are not produced text
  std::unordered_map<int32_t, int32_t> seen_, produced_;  // counts within the window
  std::vector<TokenChance> kept_;
  std::vector<float> scaled_;
  std::vector<int32_t> match_;
};

// The chosen token's logprob first, then the `top` likeliest.
std::vector<TokenScore> logprobs(std::span<const float> logits, int32_t chosen, int top);

}  // namespace ingot
