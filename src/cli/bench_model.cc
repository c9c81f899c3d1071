#include "cli/bench_model.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace ingot {

nlohmann::json bench_model(const ModelBench& bench, const MachineLimits&, ThreadTeam&) {
  throw Error(ErrorKind::environment, "this build cannot run a model in the bench yet", bench.model,
              "run `ingot bench` without a model for the machine's limits and the kernels' share of them");
}

}  // namespace ingot
