// Structured pruning: what a model's layers, heads, channels and residual stream do on given data, and a smaller model of the rest.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "models/llama/llama.h"
#include "train/tuner.h"

namespace ingot {

// Larger is more important; each measured on the samples' own activations.
struct UnitImportance {
  std::vector<double> layer;                  // 1 - cosine of a block's input and output (Men 2024)
  std::vector<std::vector<double>> group;     // [layer][group] attention output times its projection's norm
  std::vector<std::vector<double>> channel;   // [layer][hidden] the same of feed-forward channels
  std::vector<double> width;                  // normed residual stream, summed over layers (Muralidharan 2024)
};
UnitImportance measure_importance(const Llama& model, std::span<const TuningSample> samples, ThreadTeam& team);

// A trainable copy in f32 of the teacher's most important parts in the shape of `student`; tokens: the teacher's id of each student
// token, empty: all. The first and last layer always stay. Throws Error (input) for a teacher with scaled rotary frequencies.
std::shared_ptr<Llama> prune(const Llama& teacher, const UnitImportance& importance, const LlamaConfig& student, std::span<const int32_t> tokens);

}  // namespace ingot
