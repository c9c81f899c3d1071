// What an action refuses with: the place, then what was expected and found.
#pragma once

#include <functional>
#include <string>

#include "core/error.h"

namespace ingot::harness {

inline std::string refusal_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.where + ": " + error.problem;
  }
  return "accepted";
}

}  // namespace ingot::harness
