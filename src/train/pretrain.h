// Language-model training from text: AdamW, warm-up and cosine, clipping, accumulation, checkpoints that resume exactly.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/threads.h"
#include "models/llama/llama.h"

namespace ingot {

struct TrainingPlan {
  int64_t length = 256, batch = 16, accumulate = 1, steps = 1000, warmup = 100;
  double rate = 2e-3, floor = 0.1;  // floor: share of the rate that the cosine ends on
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, decay = 0.1, clip = 1.0;  // decay acts on matrices alone
  bool bf16 = false;
  uint64_t seed = 1;
};

// Loshchilov and Hutter 2019, moments in f32 beside each trained weight.
class AdamW {
 public:
  explicit AdamW(std::vector<Weight*> weights);
  // One step with the gradients as they stand; then they are zero. Returns the gradient's norm before clipping.
  double step(const TrainingPlan& plan, double rate, ThreadTeam& team);

 private:
  friend class Trainer;
  std::vector<Weight*> weights_;
  std::vector<std::vector<float>> first_, second_;
  int64_t taken_ = 0;
};

// tokens: the whole training stream, documents divided by an end token; owned by the caller for the trainer's life.
class Trainer {
 public:
  Trainer(std::shared_ptr<Llama> model, TrainingPlan plan, std::span<const uint16_t> tokens, ThreadTeam& team);

  double step();  // mean loss in nats over the step's tokens
  int64_t steps_taken() const { return optimiser_.taken_; }
  double last_norm() const { return norm_; }
  double rate_at(int64_t step) const;

  void save(const std::filesystem::path& path) const;  // by rename
  void resume(const std::filesystem::path& path);      // throws Error when it belongs to another model, plan or text

 private:
  std::string identity() const;
  std::shared_ptr<Llama> model_;
  TrainingPlan plan_;
  std::span<const uint16_t> tokens_;
  ThreadTeam& team_;
  AdamW optimiser_;
  Random random_;
  Arena arena_;
  double norm_ = 0;
};

// Mean nats a token over consecutive windows of `length`, each token predicted once from what stands before it in its window.
double mean_loss(const Llama& model, std::span<const uint16_t> tokens, int64_t length, ThreadTeam& team);

}  // namespace ingot
