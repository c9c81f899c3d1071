// One turn: corrections become training data, a challenger is built and judged against the champion on the same later bugs.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foundry/ai.h"

namespace ingot {

struct Correction {
  std::string text, engineer, component;  // component may be empty
  std::string who;                        // whose correction it is; empty if unknown
  int64_t time = 0;
};

// Reads the champion's sources again (they must still be where they were), adds the corrections, trains and judges. Writes
// `out` only if the challenger is promoted. The report has kept, dropped (by reason), champion, challenger, verdict, promoted.
nlohmann::json turn(const Ai& champion, const std::vector<Correction>& corrections, const std::filesystem::path& out);

}  // namespace ingot
