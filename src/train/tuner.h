// Training on separate samples of which only some tokens count: adapters or whole models, alone or from a teacher.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/llama/llama.h"
#include "train/adamw.h"

namespace ingot {

// targets[i] is the token that should follow ids[i]; below 0 it is not scored. With a label head the one target is the label.
struct TuningSample {
  std::vector<int32_t> ids, targets;
  // What a teacher said at each scored position, in their order: teacher_k tokens and their logits each. Empty: no teacher.
  std::vector<int32_t> teacher_tokens;
  std::vector<float> teacher_logits;

  int64_t scored() const;
};

struct TuningPlan {
  TrainingPlan training;         // batch: samples of a step; length and accumulate are not used
  int64_t micro_tokens = 512;    // tokens of a pass, which bound memory; a longer sample has a pass of its own
  bool recompute = false;        // activations of a block's inside are computed again instead of kept
  int64_t teacher_k = 0;         // 0: no teacher
  float soft = 0.5f, temperature = 2;  // head_distil
  // Null: each row says the next token. Else a sample has one target, its label, which its mean row says through this [labels, width].
  const Weight* label_head = nullptr;
};

class Tuner {
 public:
  // samples: owned by the caller for the tuner's life, at least one, each with a scored token. identity: what else must not change
  // between a checkpoint and its resume, such as the base's hash.
  Tuner(std::shared_ptr<const Llama> model, std::vector<Weight*> trained, std::span<const TuningSample> samples, TuningPlan plan, std::string identity,
        ThreadTeam& team);

  double step();  // mean loss over the step's scored tokens
  int64_t steps_taken() const { return optimiser_.taken(); }
  double last_norm() const { return norm_; }
  int64_t tokens_done() const { return tokens_; }  // of this process
  size_t memory() const { return arena_.capacity_bytes(); }

  // The order of samples is a function of seed and step, so that a checkpoint is steps, weights and moments.
  void save(const std::filesystem::path& path) const;
  void resume(const std::filesystem::path& path);  // throws Error when it belongs to another model, plan or data

 private:
  double pass(std::span<const size_t> which, int64_t scored_in_step);
  std::shared_ptr<const Llama> model_;
  std::span<const TuningSample> samples_;
  TuningPlan plan_;
  std::string identity_;
  ThreadTeam& team_;
  AdamW optimiser_;
  Arena arena_;
  std::vector<size_t> order_;
  int64_t epoch_ = -1, tokens_ = 0;
  double norm_ = 0;
};

// Steps that go over `samples` `epochs` times.
int64_t steps_for(size_t samples, double epochs, int64_t batch);

struct SampleLoss {
  double nats = 0;
  int64_t tokens = 0;
};
// The cross-entropy of each sample's scored tokens.
std::vector<SampleLoss> sample_losses(const Llama& model, std::span<const TuningSample> samples, ThreadTeam& team);

}  // namespace ingot
