#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>

namespace ingot {

Sampler::Sampler(const Sampling& options, std::span<const int32_t> prompt, int64_t vocab)
    : options_(options), random_(options.seed), seen_(static_cast<size_t>(vocab)), produced_(static_cast<size_t>(vocab)) {
  for (int32_t token : prompt) seen_[static_cast<size_t>(token)] = 1;
}

int32_t Sampler::sample(std::span<float> logits) {
  const Sampling& o = options_;
  for (auto [token, bias] : o.bias)
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) logits[static_cast<size_t>(token)] += bias;
  if (o.repetition != 1 || o.presence != 0 || o.frequency != 0) {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (seen_[i] && o.repetition != 1) logits[i] = static_cast<float>(logits[i] > 0 ? logits[i] / o.repetition : logits[i] * o.repetition);
      if (produced_[i]) logits[i] -= static_cast<float>(o.presence + o.frequency * produced_[i]);
    }
  }
  int32_t chosen;
  auto top = std::max_element(logits.begin(), logits.end());
  if (o.temperature <= 0 || o.top_k == 1) {
    chosen = static_cast<int32_t>(top - logits.begin());
  } else {
    order_.clear();
    // Nothing further than 40 temperatures below the top can be drawn in f32; leaving it out keeps the sort short.
    const float floor = *top - static_cast<float>(40 * o.temperature);
    for (size_t i = 0; i < logits.size(); ++i)
      if (logits[i] >= floor) order_.push_back({logits[i], static_cast<int32_t>(i)});
    auto better = [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; };
    std::sort(order_.begin(), order_.end(), better);
    if (o.top_k > 0 && order_.size() > static_cast<size_t>(o.top_k)) order_.resize(static_cast<size_t>(o.top_k));
    std::vector<double> p(order_.size());
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp((order_[i].first - order_[0].first) / o.temperature);
    size_t keep = p.size();
    if (o.min_p > 0)
      while (keep > 1 && p[keep - 1] < o.min_p * p[0]) sum -= p[--keep];
    if (o.top_p < 1) {
      double so_far = 0;
      for (size_t i = 0; i < keep; ++i)
        if ((so_far += p[i]) >= o.top_p * sum) {
          keep = i + 1;
          sum = so_far;
          break;
        }
    }
    double draw = random_.uniform() * sum;
    size_t i = 0;
    while (i + 1 < keep && (draw -= p[i]) >= 0) ++i;
    chosen = order_[i].second;
  }
  seen_[static_cast<size_t>(chosen)] = 1;
  ++produced_[static_cast<size_t>(chosen)];
  return chosen;
}

std::vector<TokenScore> logprobs(std::span<const float> logits, int32_t chosen, int top) {
  float high = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float l : logits) sum += std::exp(static_cast<double>(l - high));
  const float log_sum = high + static_cast<float>(std::log(sum));
  std::vector<TokenScore> out{{chosen, logits[static_cast<size_t>(chosen)] - log_sum}};
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  auto n = std::min(order.size(), static_cast<size_t>(std::max(0, top)));
  std::partial_sort(order.begin(), order.begin() + static_cast<long>(n), order.end(), [&](int32_t a, int32_t b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (size_t i = 0; i < n; ++i) out.push_back({order[i], logits[static_cast<size_t>(order[i])] - log_sum});
  return out;
}

}  // namespace ingot
