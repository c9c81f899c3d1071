// A tuner's whole run: progress, checkpoints, resume, Ctrl-C.
#pragma once

#include <filesystem>
#include <string>

#include "train/tuner.h"

namespace ingot {

struct TuningRun {
  double first_loss = 0, last_loss = 0;  // of this process's steps
  double seconds = 0, tokens_per_s = 0;
  int64_t resumed_at = 0;                // 0: from the beginning
};

// Goes on from `state` where there is one, writes it every `save_every` steps (0: every 30 s), and on Ctrl-C before Error (interrupted) is thrown. The state is left
// for the caller to remove when all is done. command: what a person runs again.
TuningRun run_tuning(Tuner& tuner, int64_t steps, const std::filesystem::path& state, int64_t save_every, const std::string& title, const std::string& command);

}  // namespace ingot
