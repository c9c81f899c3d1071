#include "train/pretrain.h"

#include <cmath>
#include <cstring>
#include <numbers>

#include "core/blob.h"
#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "kernels/cpu/row_kernels.h"

namespace ingot {

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

Trainer::Trainer(std::shared_ptr<Llama> model, TrainingPlan plan, std::span<const uint16_t> tokens, ThreadTeam& team)
    : model_(std::move(model)), plan_(plan), tokens_(tokens), team_(team), optimiser_(model_->weights()), random_(plan.seed) {
  if (static_cast<int64_t>(tokens.size()) < plan.length + 1)
    bad_input("the training text has " + std::to_string(tokens.size()) + " tokens, one sequence needs " + std::to_string(plan.length + 1), "text",
              "give more text or a shorter sequence");
}

double Trainer::rate_at(int64_t step) const {
  if (step < plan_.warmup) return plan_.rate * static_cast<double>(step + 1) / static_cast<double>(plan_.warmup);
  double done = static_cast<double>(step - plan_.warmup) / static_cast<double>(std::max<int64_t>(1, plan_.steps - plan_.warmup));
  double cosine = 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done)));
  return plan_.rate * (plan_.floor + (1 - plan_.floor) * cosine);
}

double Trainer::step() {
  const int64_t n = plan_.length * plan_.batch;
  std::vector<int32_t> ids(static_cast<size_t>(n)), targets(static_cast<size_t>(n));
  double loss = 0;
  for (int64_t micro = 0; micro < plan_.accumulate; ++micro) {
    for (int64_t s = 0; s < plan_.batch; ++s) {
      size_t at = random_.below(tokens_.size() - static_cast<size_t>(plan_.length));
      for (int64_t i = 0; i < plan_.length; ++i) {
        ids[static_cast<size_t>(s * plan_.length + i)] = tokens_[at + static_cast<size_t>(i)];
        targets[static_cast<size_t>(s * plan_.length + i)] = tokens_[at + static_cast<size_t>(i) + 1];
      }
    }
    auto mark = arena_.mark();
    Tape tape;
    Context c{team_, arena_, &tape, plan_.bf16};
    Tensor hidden = model_->dense(c, ids, plan_.length);
    loss += head_loss(c, hidden, model_->head(), targets, 1.0f / static_cast<float>(plan_.accumulate)) / static_cast<double>(n);
    tape.backward();
    arena_.release(mark);
  }
  norm_ = optimiser_.step(plan_, rate_at(optimiser_.taken_), team_);
  return loss / static_cast<double>(plan_.accumulate);
}

std::string Trainer::identity() const {
  const LlamaConfig& c = model_->config();
  BlobWriter out;
  for (int64_t v : {c.vocab, c.width, c.layers, c.heads, c.groups, c.head_size, c.hidden, int64_t{c.tied}, plan_.length, plan_.batch,
                    plan_.accumulate, plan_.steps, plan_.warmup, int64_t{plan_.bf16}, static_cast<int64_t>(plan_.seed),
                    static_cast<int64_t>(tokens_.size())})
    out.put(v);
  for (double v : {plan_.rate, plan_.floor, plan_.beta1, plan_.beta2, plan_.epsilon, plan_.decay, plan_.clip}) out.put(v);
  std::string bytes = out.take();
  bytes.append(reinterpret_cast<const char*>(tokens_.data()), tokens_.size() * sizeof(uint16_t));
  return hex(sha256(bytes));
}

void Trainer::save(const std::filesystem::path& path) const {
  BlobWriter out;
  out.put(std::string_view("ingot training state 1"));
  out.put(std::string_view(identity()));
  out.put(optimiser_.taken_);
  for (uint64_t word : random_.state) out.put(word);
  for (size_t i = 0; i < optimiser_.weights_.size(); ++i) {
    const Weight* w = optimiser_.weights_[i];
    out.put(std::vector<float>(w->f32(), w->f32() + w->size()));
    out.put(optimiser_.first_[i]);
    out.put(optimiser_.second_[i]);
  }
  write_file(path, out.take());
}

void Trainer::resume(const std::filesystem::path& path) {
  MappedFile file(path);
  BlobReader in(file.bytes(), path.string());
  if (in.text() != "ingot training state 1") bad_input("this is not a training state", path.string(), "remove it to begin anew");
  if (in.text() != identity())
    bad_input("the saved state belongs to another model, plan or text", path.string(), "give the same options and text, or remove it to begin anew");
  optimiser_.taken_ = in.get<int64_t>();
  for (uint64_t& word : random_.state) word = in.get<uint64_t>();
  for (size_t i = 0; i < optimiser_.weights_.size(); ++i) {
    const Weight* w = optimiser_.weights_[i];
    auto values = in.vector<float>();
    optimiser_.first_[i] = in.vector<float>();
    optimiser_.second_[i] = in.vector<float>();
    in.require(values.size() == static_cast<size_t>(w->size()) && optimiser_.first_[i].size() == values.size() &&
               optimiser_.second_[i].size() == values.size());
    std::memcpy(const_cast<float*>(w->f32()), values.data(), values.size() * sizeof(float));
  }
}

double mean_loss(const Llama& model, std::span<const uint16_t> tokens, int64_t length, ThreadTeam& team) {
  Arena arena;
  Context c{team, arena};
  double sum = 0;
  int64_t count = 0;
  for (size_t at = 0; at + 1 < tokens.size(); at += static_cast<size_t>(length)) {
    size_t n = std::min(static_cast<size_t>(length), tokens.size() - 1 - at);
    std::vector<int32_t> ids(tokens.begin() + static_cast<long>(at), tokens.begin() + static_cast<long>(at + n));
    std::vector<int32_t> targets(tokens.begin() + static_cast<long>(at + 1), tokens.begin() + static_cast<long>(at + n + 1));
    auto mark = arena.mark();
    Tensor hidden = model.dense(c, ids, static_cast<int64_t>(n));
    sum += head_loss(c, hidden, model.head(), targets, 1);
    arena.release(mark);
    count += static_cast<int64_t>(n);
  }
  return sum / static_cast<double>(std::max<int64_t>(1, count));
}

}  // namespace ingot
