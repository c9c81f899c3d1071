// One turn of the flywheel: curate, train, judge, and write the challenger if it may take the champion's place.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "foundry/ai.h"
#include "foundry/fly/curate.h"
#include "foundry/fly/judge.h"

namespace ingot {

struct TurnInput {
  std::vector<Correction> corrections;  // in order of arrival
  std::vector<FixedCase> cases;
  int64_t champion_seen = 0;            // the last feedback that the champion may have learnt from
  bool rebuild = false;                 // the champion has learnt from what is no more: a challenger without it need not win
  CurateOptions curate;
  std::vector<int64_t> learnt;          // out: ids of what the challenger learnt from
};

// Reads the champion's sources again (they must still be where they were). Writes `out` only if the verdict is to promote.
// `out`.training beside it lets an interrupted turn of a chat AI go on. The report has kept, dropped and held (by reason), left_out, champion, challenger, judge, verdict, promoted.
nlohmann::json turn(const Ai& champion, TurnInput& input, const std::filesystem::path& out);

// The same of a chat AI, which turn() calls: the champion's adapter learns on, from better texts for what was asked and from as many of its
// old conversations again.
nlohmann::json turn_chat(const Ai& champion, TurnInput& input, const std::filesystem::path& out);

}  // namespace ingot
