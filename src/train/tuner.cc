#include "train/tuner.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/sha256.h"
#include "ops/pool.h"

namespace ingot {
namespace {

constexpr std::string_view kState = "ingot tuning state 1";

std::string digest(const TuningPlan& plan, std::span<const TuningSample> samples, std::span<Weight* const> weights, const std::string& more) {
  BlobWriter out;
  out.put(std::string_view(more));
  plan.training.identify(out);
  for (int64_t v : {plan.micro_tokens, plan.teacher_k, static_cast<int64_t>(samples.size())}) out.put(v);
  out.put(plan.soft);
  out.put(plan.temperature);
  for (const Weight* w : weights) {
    out.put(std::string_view(w->name));
    out.put(w->rows);
    out.put(w->cols);
  }
  for (const TuningSample& s : samples) {
    out.put(s.ids);
    out.put(s.targets);
    out.put(s.teacher_tokens);
    out.put(s.teacher_logits);
  }
  return hex(sha256(out.take()));
}

}  // namespace

int64_t TuningSample::scored() const { return std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t >= 0; }); }

Tuner::Tuner(std::shared_ptr<const Llama> model, std::vector<Weight*> trained, std::span<const TuningSample> samples, TuningPlan plan, std::string identity,
             ThreadTeam& team)
    : model_(std::move(model)), samples_(samples), plan_(plan), identity_(digest(plan, samples, trained, identity)), team_(team), optimiser_(trained) {
  if (samples.empty()) bad_input("there is no sample to learn from", "data", "give more records");
  for (const TuningSample& s : samples) {
    if (s.ids.empty() || s.targets.size() != (plan.label_head ? 1 : s.ids.size()) || !s.scored())
      throw Error(ErrorKind::internal, "a sample has no scored token", "Tuner", "report this");
  }
}

double Tuner::pass(std::span<const size_t> which, int64_t scored_in_step) {
  std::vector<int32_t> ids, targets, teacher_tokens;
  std::vector<float> teacher_logits;
  std::vector<int64_t> starts{0};
  const auto k = static_cast<size_t>(plan_.teacher_k);
  for (size_t w : which) {
    const TuningSample& s = samples_[w];
    ids.insert(ids.end(), s.ids.begin(), s.ids.end());
    targets.insert(targets.end(), s.targets.begin(), s.targets.end());
    starts.push_back(static_cast<int64_t>(ids.size()));
    if (!k) continue;
    teacher_tokens.resize(targets.size() * k);
    teacher_logits.resize(targets.size() * k);
    size_t row = targets.size() - s.targets.size(), from = 0;
    for (int32_t target : s.targets) {
      if (target >= 0) {
        std::copy_n(s.teacher_tokens.begin() + static_cast<long>(from), k, teacher_tokens.begin() + static_cast<long>(row * k));
        std::copy_n(s.teacher_logits.begin() + static_cast<long>(from), k, teacher_logits.begin() + static_cast<long>(row * k));
        from += k;
      }
      ++row;
    }
  }
  tokens_ += static_cast<int64_t>(ids.size());
  auto mark = arena_.mark();
  Tape tape;
  Context c{team_, arena_, &tape, plan_.training.bf16, plan_.recompute};
  const int64_t scored = std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t >= 0; });
  const float weight = static_cast<float>(scored) / static_cast<float>(scored_in_step);
  Tensor hidden = model_->packed(c, ids, starts);
  if (plan_.label_head) hidden = mean_rows(c, hidden, starts);
  const Weight& head = plan_.label_head ? *plan_.label_head : model_->head();
  double loss;
  if (k) loss = head_distil(c, hidden, head, targets, {plan_.teacher_k, teacher_tokens.data(), teacher_logits.data()}, plan_.soft, plan_.temperature, weight);
  else loss = head_loss(c, hidden, head, targets, weight);
  tape.backward();
  arena_.release(mark);
  return loss;
}

double Tuner::step() {
  const TrainingPlan& plan = plan_.training;
  const auto n = static_cast<int64_t>(samples_.size());
  std::vector<size_t> which;
  int64_t scored = 0;
  for (int64_t b = 0; b < plan.batch; ++b) {
    const int64_t at = optimiser_.taken() * plan.batch + b;
    if (at / n != epoch_) {
      epoch_ = at / n;
      order_.resize(samples_.size());
      std::iota(order_.begin(), order_.end(), size_t{0});
      Random random(plan.seed * 1000003 + static_cast<uint64_t>(epoch_));
      random.shuffle(order_);
    }
    which.push_back(order_[static_cast<size_t>(at % n)]);
    scored += samples_[which.back()].scored();
  }
  double loss = 0;
  for (size_t from = 0; from < which.size();) {
    size_t to = from;
    int64_t tokens = 0;
    while (to < which.size() && (to == from || tokens + static_cast<int64_t>(samples_[which[to]].ids.size()) <= plan_.micro_tokens))
      tokens += static_cast<int64_t>(samples_[which[to++]].ids.size());
    loss += pass(std::span(which).subspan(from, to - from), scored);
    from = to;
  }
  norm_ = optimiser_.step(plan, plan.rate_at(optimiser_.taken()), team_);
  return loss / static_cast<double>(scored);
}

void Tuner::save(const std::filesystem::path& path) const {
  BlobWriter out;
  out.put(kState);
  out.put(std::string_view(identity_));
  optimiser_.save(out);
  write_file(path, out.take());
}

void Tuner::resume(const std::filesystem::path& path) {
  MappedFile file(path);
  BlobReader in(file.bytes(), path.string());
  if (in.text() != kState) bad_input("this is not a tuning state", path.string(), "remove it to begin anew");
  if (in.text() != identity_)
    bad_input("the saved state belongs to another model, plan or data", path.string(), "give the same options and data, or remove it to begin anew");
  optimiser_.load(in);
  in.require(in.done());
  epoch_ = -1;
}

int64_t steps_for(size_t samples, double epochs, int64_t batch) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(static_cast<double>(samples) * epochs / static_cast<double>(batch))));
}

std::vector<SampleLoss> sample_losses(const Llama& model, std::span<const TuningSample> samples, ThreadTeam& team) {
  Arena arena;
  Context c{team, arena};
  std::vector<SampleLoss> out;
  for (const TuningSample& s : samples) {
    auto mark = arena.mark();
    const int64_t starts[] = {0, static_cast<int64_t>(s.ids.size())};
    SampleLoss one;
    one.nats = head_loss(c, model.packed(c, s.ids, starts), model.head(), s.targets, 1, &one.tokens);
    arena.release(mark);
    out.push_back(one);
  }
  return out;
}

}  // namespace ingot
