// AdamW (Loshchilov and Hutter 2019) with warm-up, cosine and clipping; what every kind of training here steps with.
#pragma once

#include <cstdint>
#include <vector>

#include "core/blob.h"
#include "core/threads.h"
#include "ops/weight.h"

namespace ingot {

struct TrainingPlan {
  int64_t length = 256, batch = 16, accumulate = 1, steps = 1000, warmup = 100;
  double rate = 2e-3, floor = 0.1;  // floor: share of the rate that the cosine ends on
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, decay = 0.1, clip = 1.0;  // decay acts on matrices alone
  bool bf16 = false;
  uint64_t seed = 1;

  double rate_at(int64_t step) const;  // linear warm-up, then a cosine down to floor * rate
  void identify(BlobWriter& out) const;  // every field, for what must not change between a checkpoint and its resume
};

// Moments in f32 beside each trained weight.
class AdamW {
 public:
  explicit AdamW(std::vector<Weight*> weights);  // those with a gradient are trained
  // One step with the gradients as they stand; then they are zero. Returns the gradient's norm before clipping.
  double step(const TrainingPlan& plan, double rate, ThreadTeam& team);
  int64_t taken() const { return taken_; }

  void save(BlobWriter& out) const;  // steps, weights, moments
  void load(BlobReader& in);         // throws Error when the shapes differ

 private:
  std::vector<Weight*> weights_;
  std::vector<std::vector<float>> first_, second_;
  int64_t taken_ = 0;
};

}  // namespace ingot
