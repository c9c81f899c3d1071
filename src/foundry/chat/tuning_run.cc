#include "foundry/chat/tuning_run.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/progress.h"

namespace ingot {

TuningRun run_tuning(Tuner& tuner, int64_t steps, const std::filesystem::path& state, int64_t save_every, const std::string& title, const std::string& command) {
  using Clock = std::chrono::steady_clock;
  TuningRun run;
  if (std::filesystem::exists(state)) {
    tuner.resume(state);
    run.resumed_at = tuner.steps_taken();
  }
  const auto start = Clock::now();
  auto saved = start;
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Progress progress(title, static_cast<uint64_t>(steps));
  progress.advance(static_cast<uint64_t>(tuner.steps_taken()));
  bool first = true;
  while (tuner.steps_taken() < steps) {
    run.last_loss = tuner.step();
    if (first) run.first_loss = run.last_loss;
    first = false;
    if (!std::isfinite(run.last_loss)) throw Error(ErrorKind::recipe, "the loss is not finite", fmt::format("{}, step {}", title, tuner.steps_taken()), "lower the learning rate");
    progress.advance(1, fmt::format("loss {:.4f}  {:.0f} tok/s", run.last_loss, static_cast<double>(tuner.tokens_done()) / seconds()));
    if (interrupted() || (save_every > 0 ? tuner.steps_taken() % save_every == 0 : Clock::now() - saved > std::chrono::seconds(30))) {
      tuner.save(state);
      saved = Clock::now();
    }
    if (interrupted()) throw Error(ErrorKind::interrupted, fmt::format("stopped at step {}", tuner.steps_taken()), command, "run the same command again to go on");
  }
  if (!first) tuner.save(state);  // so that what follows may be interrupted too
  progress.finish();
  run.seconds = seconds();
  run.tokens_per_s = static_cast<double>(tuner.tokens_done()) / std::max(run.seconds, 1e-9);
  return run;
}

}  // namespace ingot
