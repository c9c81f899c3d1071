// How large a student may be, and which shape spends that best.
#pragma once

#include <cstdint>
#include <string>

#include "models/llama/llama.h"

namespace ingot {

// "60M" parameters, "16MB" on disk, "200tok/s" of single-stream decoding on this machine.
struct StudentSize {
  enum class Unit { kParameters, kBytes, kSpeed } unit = Unit::kParameters;
  double value = 0;
};
StudentSize parse_student_size(const std::string& text);  // throws Error (usage)

// The shape with at most `parameters`, cut from the teacher's: fewer layers, feed-forward channels, groups of heads, and a narrower
// residual stream where that alone does not reach. Cuts that hurt more without long training cost more: the residual stream most, then
// layers, groups and channels. Throws Error (usage) when nothing fits.
LlamaConfig plan_student(const LlamaConfig& teacher, int64_t vocab, int64_t parameters);

}  // namespace ingot
