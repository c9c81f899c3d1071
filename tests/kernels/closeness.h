// How tests compare a kernel's output with a double-precision reference.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/threads.h"
#include "kernels/target.h"

namespace ingot {

// Passes when |got - want| <= bound for every element; a NaN on either side fails, as does a length that differs.
// `bound[i]` comes from the type: its epsilon times the sum of |products| of that element, times a small factor for the chain.
inline testing::AssertionResult close_to(const std::vector<float>& got, const std::vector<double>& want, const std::vector<double>& bound) {
  if (got.size() != want.size() || got.size() != bound.size()) return testing::AssertionFailure() << "lengths differ";
  for (size_t i = 0; i < got.size(); ++i) {
    double difference = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (!(difference <= bound[i]))  // written so that NaN fails
      return testing::AssertionFailure() << "element " << i << ": got " << got[i] << ", want " << want[i] << ", bound " << bound[i];
  }
  return testing::AssertionSuccess();
}

// Runs `body` once on every target the machine has, then restores the one in use.
template <class Body>
void on_every_target(const Body& body) {
  Target before = active_target();
  for (Target target : available_targets()) {
    SCOPED_TRACE(std::string(target_name(target)));
    force_target(target);
    body(target);
  }
  force_target(before);
}

}  // namespace ingot
