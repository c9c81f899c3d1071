#include "foundry/fly/turn_report.h"

#include <sys/resource.h>

#include <algorithm>

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kMostListed = 200;
constexpr size_t kFewestLatest = 30, kMostLatest = 1000;

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

}  // namespace

size_t latest_of(size_t unseen) { return unseen / 3 >= kFewestLatest ? std::min(unseen / 3, kMostLatest) : 0; }

TurnReport::TurnReport(const Ai& champion)
    : body({{"promoted", false}, {"kept", 0}, {"dropped", json::object()}, {"held", json::object()}, {"left_out", json::array()}, {"champion", {{"hash", champion.hash()}}}, {"challenger", nullptr}}),
      start_(std::chrono::steady_clock::now()), cpu_(cpu_seconds()) {}

void TurnReport::curated(const Curated& curated, const std::vector<Correction>& corrections) {
  body["kept"] = curated.kept.size();
  body["dropped"] = curated.dropped_by;
  body["held"] = curated.held_by;
  for (const auto* list : {&curated.held, &curated.dropped})
    for (const auto& [i, reason] : *list)
      if (body["left_out"].size() < kMostListed) body["left_out"].push_back({{"id", corrections[i].receipt}, {"held", list == &curated.held}, {"reason", reason}});
}

json TurnReport::close(std::string verdict) {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  body["verdict"] = std::move(verdict);
  body["cost"] = {{"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count()}, {"cpu_seconds", cpu_seconds() - cpu_},
                  {"peak_mib", static_cast<double>(used.ru_maxrss) / 1024}};
  return body;
}

json TurnReport::packed(const std::string& verdict) const {
  json out = body;
  out.erase("left_out");
  out["verdict"] = verdict;
  out["promoted"] = true;
  return out;
}

}  // namespace ingot
