// Language-model training from text: accumulation, checkpoints that resume exactly.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/threads.h"
#include "models/llama/llama.h"
#include "train/adamw.h"

namespace ingot {

// tokens: the whole training stream, documents divided by an end token; owned by the caller for the trainer's life.
class Trainer {
 public:
  Trainer(std::shared_ptr<Llama> model, TrainingPlan plan, std::span<const uint16_t> tokens, ThreadTeam& team);

  double step();  // mean loss in nats over the step's tokens
  int64_t steps_taken() const { return optimiser_.taken(); }
  double last_norm() const { return norm_; }
  double rate_at(int64_t step) const { return plan_.rate_at(step); }

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
