#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/row_kernels.h"

namespace ingot {
namespace {

bool likelier(const TokenChance& a, const TokenChance& b) { return a.chance != b.chance ? a.chance > b.chance : a.token < b.token; }

void normalise(std::vector<TokenChance>& kept) {
  double sum = 0;
  for (const auto& k : kept) sum += k.chance;
  for (auto& k : kept) k.chance /= sum;
}

void keep_top_p(std::vector<TokenChance>& kept, double top_p) {
  // Those below (1 - p) / n sum to less than 1 - p, so the nucleus lies among the others; this keeps the sort short.
  const double floor = (1 - top_p) / static_cast<double>(kept.size());
  std::erase_if(kept, [floor](const TokenChance& k) { return k.chance < floor; });
  std::sort(kept.begin(), kept.end(), likelier);
  double so_far = 0;
  for (size_t i = 0; i < kept.size(); ++i)
    if ((so_far += kept[i].chance) >= top_p) {
      kept.resize(i + 1);
      break;
    }
  normalise(kept);
}

// Keeps the tokens whose surprise is nearest to the expected one, until `mass` is reached.
void keep_typical(std::vector<TokenChance>& kept, double mass) {
  double entropy = 0;
  for (const auto& k : kept)
    if (k.chance > 0) entropy -= k.chance * std::log(k.chance);
  auto distance = [entropy](const TokenChance& k) { return k.chance > 0 ? std::fabs(-std::log(k.chance) - entropy) : INFINITY; };
  std::vector<std::pair<double, TokenChance>> order;
  for (const auto& k : kept) order.push_back({distance(k), k});
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : a.second.token < b.second.token; });
  double so_far = 0;
  size_t last = 0;
  while (last + 1 < order.size() && (so_far += order[last].second.chance) < mass) ++last;
  kept.clear();
  for (const auto& [d, k] : order)
    if (d <= order[last].first) kept.push_back(k);
  normalise(kept);
}

}  // namespace

Sampler::Sampler(const Sampling& options, std::span<const int32_t> prompt, std::vector<int32_t> breakers)
    : options_(options), random_(options.seed), breakers_(std::move(breakers)), prompt_(prompt.size()) {
  std::sort(breakers_.begin(), breakers_.end());
  for (int32_t token : prompt) {
    history_.push_back(token);
    if (options_.penalty_window <= 0 || history_.size() + static_cast<size_t>(options_.penalty_window) > prompt.size()) ++seen_[token];
  }
}

void Sampler::accept(int32_t token) {
  history_.push_back(token);
  ++seen_[token];
  ++produced_[token];
  if (auto window = static_cast<size_t>(options_.penalty_window); options_.penalty_window > 0 && history_.size() > window) {
    size_t left = history_.size() - window - 1;
    if (--seen_[history_[left]] == 0) seen_.erase(history_[left]);
    if (left >= prompt_ && --produced_[history_[left]] == 0) produced_.erase(history_[left]);
  }
}

void Sampler::penalise(std::span<float> logits) {
  const Sampling& o = options_;
  for (auto [token, bias] : o.bias)
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) logits[static_cast<size_t>(token)] += bias;
  if (o.repetition != 1)
    for (auto [token, count] : seen_)
      if (float& l = logits[static_cast<size_t>(token)]; true) l = static_cast<float>(l > 0 ? l / o.repetition : l * o.repetition);
  if (o.presence != 0 || o.frequency != 0)
    for (auto [token, count] : produced_) logits[static_cast<size_t>(token)] -= static_cast<float>(o.presence + o.frequency * count);
  if (o.dry > 0) penalise_repeats(logits);
}

// match_[i]: how many tokens before and with i equal the text's last ones (the Z-function of the reversed text, cut at breakers).
void Sampler::penalise_repeats(std::span<float> logits) {
  const size_t n = options_.dry_window > 0 ? std::min(history_.size(), static_cast<size_t>(options_.dry_window)) : history_.size();
  auto reversed = [&](size_t i) { return history_[history_.size() - 1 - i]; };
  auto breaks = [&](int32_t token) { return std::binary_search(breakers_.begin(), breakers_.end(), token); };
  size_t longest = 0;  // tokens since the last breaker: no repetition is longer
  while (longest < n && !breaks(reversed(longest))) ++longest;
  if (!longest) return;
  match_.assign(n, 0);
  std::unordered_map<int32_t, int32_t> worst;  // by the token that would go on
  for (size_t i = 1, left = 0, right = 0; i < n; ++i) {
    size_t z = i < right ? std::min(right - i, static_cast<size_t>(match_[i - left])) : 0;
    while (i + z < n && z < longest && reversed(z) == reversed(i + z)) ++z;
    match_[i] = static_cast<int32_t>(z);
    if (i + z > right) left = i, right = i + z;
    if (static_cast<int64_t>(z) >= options_.dry_allowed && z > 0 && !breaks(reversed(i - 1)))
      worst[reversed(i - 1)] = std::max(worst[reversed(i - 1)], match_[i]);
  }
  for (auto [token, length] : worst) {
    double power = std::min(static_cast<double>(length - options_.dry_allowed) * std::log(options_.dry_base), 80.0);
    logits[static_cast<size_t>(token)] -= static_cast<float>(options_.dry * std::exp(power));
  }
}

namespace {

// Sixteen at a time: one after the other takes 5 % of the time of sixteen streams of a small model.
std::span<float>::iterator first_largest(std::span<float> logits) {
  const auto found = std::find(logits.begin(), logits.end(), cpu::row_kernels().largest(logits.data(), static_cast<int64_t>(logits.size())));
  return found != logits.end() ? found : std::max_element(logits.begin(), logits.end());  // NaN among them
}

}  // namespace

const std::vector<TokenChance>& Sampler::distribution(std::span<float> logits) {
  const Sampling& o = options_;
  penalise(logits);
  kept_.clear();
  const auto top = first_largest(logits);
  if (o.temperature <= 0 || o.top_k == 1 || !std::isfinite(*top)) {
    kept_.push_back({static_cast<int32_t>(top - logits.begin()), 1});
    return kept_;
  }
  const auto n = static_cast<int64_t>(logits.size());
  const auto inverse = static_cast<float>(1 / o.temperature);
  scaled_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) scaled_[i] = (logits[i] - *top) * inverse;
  float floor = -80;  // smaller ones are 0 in f32
  if (o.min_p > 0 && o.top_k == 0 && o.top_p >= 1) floor = std::max(floor, static_cast<float>(std::log(o.min_p)) - 1e-3f);
  if (o.top_k > 0 && o.top_k < n) {
    std::vector<float> order(scaled_);
    std::nth_element(order.begin(), order.begin() + o.top_k - 1, order.end(), std::greater<>());
    floor = std::max(floor, order[static_cast<size_t>(o.top_k - 1)]);
  }
  cpu::row_kernels().exp_minus(scaled_.data(), 0, logits.data(), n);
  for (int64_t i = 0; i < n; ++i)
    if (scaled_[static_cast<size_t>(i)] >= floor) kept_.push_back({static_cast<int32_t>(i), logits[static_cast<size_t>(i)]});
  if (o.top_k > 0 && kept_.size() > static_cast<size_t>(o.top_k)) {  // equals at the edge: the lowest ids stay
    std::sort(kept_.begin(), kept_.end(), likelier);
    kept_.resize(static_cast<size_t>(o.top_k));
  }
  normalise(kept_);
  if (o.top_p < 1) keep_top_p(kept_, o.top_p);
  if (o.min_p > 0) {
    double most = 0;
    for (const auto& k : kept_) most = std::max(most, k.chance);
    std::erase_if(kept_, [least = most * o.min_p](const TokenChance& k) { return k.chance < least; });
    normalise(kept_);
  }
  if (o.typical < 1) keep_typical(kept_, o.typical);
  // By id, so that two models' distributions meet the same random number alike (speculation).
  if (!std::is_sorted(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.token < b.token; }))
    std::sort(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.token < b.token; });
  return kept_;
}

int32_t Sampler::sample(std::span<float> logits) {
  const auto& kept = distribution(logits);
  double draw = options_.temperature > 0 ? random_.uniform() : 0;
  size_t i = 0;
  while (i + 1 < kept.size() && (draw -= kept[i].chance) >= 0) ++i;
  accept(kept[i].token);
  return kept[i].token;
}

std::vector<TokenScore> logprobs(std::span<const float> logits, int32_t chosen, int top) {
  float high = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float l : logits) sum += std::exp(static_cast<double>(l - high));
  const float log_sum = high + static_cast<float>(std::log(sum));
  std::vector<TokenScore> out{{chosen, logits[static_cast<size_t>(chosen)] - log_sum}};
  if (top <= 0) return out;
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  auto n = std::min(order.size(), static_cast<size_t>(top));
  std::partial_sort(order.begin(), order.begin() + static_cast<long>(n), order.end(), [&](int32_t a, int32_t b) {
    float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (size_t i = 0; i < n; ++i) out.push_back({order[i], logits[static_cast<size_t>(order[i])] - log_sum});
  return out;
}

}  // namespace ingot
