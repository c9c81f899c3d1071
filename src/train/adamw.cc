#include "train/adamw.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "kernels/cpu/row_kernels.h"

namespace ingot {

double TrainingPlan::rate_at(int64_t step) const {
  if (step < warmup) return rate * static_cast<double>(step + 1) / static_cast<double>(warmup);
  double done = static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, steps - warmup));
  double cosine = 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done)));
  return rate * (floor + (1 - floor) * cosine);
}

void TrainingPlan::identify(BlobWriter& out) const {
  for (int64_t v : {length, batch, accumulate, steps, warmup, int64_t{bf16}, static_cast<int64_t>(seed)}) out.put(v);
  for (double v : {rate, floor, beta1, beta2, epsilon, decay, clip}) out.put(v);
}

AdamW::AdamW(std::vector<Weight*> weights) : weights_(std::move(weights)) {
  std::erase_if(weights_, [](Weight* w) { return !w->grad; });
  for (Weight* w : weights_) {
    first_.emplace_back(static_cast<size_t>(w->size()), 0.0f);
    second_.emplace_back(static_cast<size_t>(w->size()), 0.0f);
  }
}

double AdamW::step(const TrainingPlan& plan, double rate, ThreadTeam& team) {
  constexpr int64_t kPart = 1 << 14;  // fixed parts, so that the norm does not depend on the thread count
  double square = 0;
  for (Weight* w : weights_) {
    std::vector<double> parts(static_cast<size_t>((w->size() + kPart - 1) / kPart));
    team.parallel_for(parts.size(), 4, [&](size_t from, size_t to) {
      for (size_t p = from; p < to; ++p) {
        int64_t at = static_cast<int64_t>(p) * kPart, n = std::min(kPart, w->size() - at);
        parts[p] = cpu::row_kernels().dot(w->grad + at, w->grad + at, n);
      }
    });
    for (double part : parts) square += part;
  }
  double norm = std::sqrt(square);
  ++taken_;
  cpu::AdamStep s{};
  s.rate = static_cast<float>(rate);
  s.beta1 = static_cast<float>(plan.beta1);
  s.beta2 = static_cast<float>(plan.beta2);
  s.epsilon = static_cast<float>(plan.epsilon);
  s.bias1 = static_cast<float>(1 - std::pow(plan.beta1, static_cast<double>(taken_)));
  s.bias2 = static_cast<float>(1 - std::pow(plan.beta2, static_cast<double>(taken_)));
  s.scale = plan.clip > 0 && norm > plan.clip ? static_cast<float>(plan.clip / (norm + 1e-6)) : 1.0f;
  for (size_t i = 0; i < weights_.size(); ++i) {
    Weight* w = weights_[i];
    s.decay = w->rows > 1 ? static_cast<float>(plan.decay) : 0.0f;
    auto* values = const_cast<float*>(w->f32());
    team.parallel_for(static_cast<size_t>(w->size()), 1 << 14, [&](size_t from, size_t to) {
      cpu::row_kernels().adam(values + from, w->grad + from, first_[i].data() + from, second_[i].data() + from,
                              static_cast<int64_t>(to - from), s);
      std::memset(w->grad + from, 0, (to - from) * sizeof(float));
    });
  }
  return norm;
}

void AdamW::save(BlobWriter& out) const {
  out.put(taken_);
  for (size_t i = 0; i < weights_.size(); ++i) {
    const Weight* w = weights_[i];
    out.put(std::vector<float>(w->f32(), w->f32() + w->size()));
    out.put(first_[i]);
    out.put(second_[i]);
  }
}

void AdamW::load(BlobReader& in) {
  taken_ = in.get<int64_t>();
  for (size_t i = 0; i < weights_.size(); ++i) {
    const Weight* w = weights_[i];
    auto values = in.vector<float>();
    first_[i] = in.vector<float>();
    second_[i] = in.vector<float>();
    in.require(values.size() == static_cast<size_t>(w->size()) && first_[i].size() == values.size() && second_[i].size() == values.size());
    std::memcpy(const_cast<float*>(w->f32()), values.data(), values.size() * sizeof(float));
  }
}

}  // namespace ingot
