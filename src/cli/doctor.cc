#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.h"
#include "core/data_folder.h"
#include "core/files.h"
#include "core/threads.h"
#include "kernels/machine_limits.h"
#include "kernels/target.h"
#include "runtime/model_store.h"

namespace ingot {
namespace {

using nlohmann::ordered_json;

// Where there is no /proc, as in a container from scratch, these stay empty.
std::string cpu_field(const std::string& key) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) return line.substr(std::min(line.find(": ") + 2, line.size()));
  return {};
}

uint64_t number_in(const char* file) {
  std::ifstream in(file);
  uint64_t value = 0;
  return in >> value ? value : 0;  // "max" reads as none
}

struct Memory {
  uint64_t total, available;  // bytes; a container's limit counts
};

Memory memory() {
  struct sysinfo info {};
  sysinfo(&info);
  Memory out{info.totalram * info.mem_unit, (info.freeram + info.bufferram) * info.mem_unit};
  std::ifstream in("/proc/meminfo");
  for (std::string key; in >> key;) {
    uint64_t kib = 0;
    if (key == "MemAvailable:" && in >> kib) out.available = kib * 1024;
    in.ignore(200, '\n');
  }
  if (const uint64_t limit = number_in("/sys/fs/cgroup/memory.max"); limit && limit < out.total) {
    out.total = limit;
    const uint64_t used = number_in("/sys/fs/cgroup/memory.current");
    out.available = std::min(out.available, limit - std::min(limit, used));
  }
  return out;
}

// Weights alone are read once a token, so bandwidth bounds the speed: bytes a parameter of each type, scales included.
struct SizeRow {
  const char* name;
  double billions;
  double kv_mb_per_1k;  // of keys and values in f16 for 1,000 tokens, of a usual model of the size
};
constexpr SizeRow kSizes[] = {{"135M", 0.135, 24}, {"0.5B", 0.5, 13}, {"1B", 1.24, 33}, {"3B", 3.2, 115}, {"8B", 8.0, 131}, {"14B", 14.8, 197}, {"32B", 32.8, 262}, {"70B", 70.6, 328}, {"405B", 405.9, 516}};
constexpr struct {
  const char* name;
  double bytes;
} kTypes[] = {{"Q4_0", 18.0 / 32}, {"Q8_0", 34.0 / 32}, {"F16", 2.0}};

ordered_json models_that_run(const MachineLimits& limits, const Memory& memory) {
  ordered_json rows = ordered_json::array();
  for (const SizeRow& size : kSizes)
    for (const auto& type : kTypes) {
      const double bytes = size.billions * 1e9 * type.bytes, context = 4 * size.kv_mb_per_1k * 1e6, needed = bytes + context + 300e6;
      const bool runs = needed <= static_cast<double>(memory.available);
      rows.push_back({{"size", size.name}, {"type", type.name}, {"needed_gb", needed / 1e9}, {"runs", runs}, {"fits_the_machine", needed <= static_cast<double>(memory.total)},
                      {"decode_at_most_tokens_per_s", limits.read_gb_s * 1e9 / bytes},
                      {"prefill_at_most_tokens_per_s", (std::string_view(type.name) == "F16" ? limits.f32_gflop_s : limits.int8_gop_s) / (2 * size.billions)}});
    }
  return rows;
}

struct Finding {
  std::string what, state, todo;  // state: "good", "missing", "note"
};

std::vector<Finding> findings(const std::filesystem::path& data) {
  std::vector<Finding> out;
  std::error_code failed;
  const auto share = share_dir() / "models";
  const bool base = std::filesystem::exists(share / "ingot-base.gguf", failed);
  out.push_back({"embedded models", base ? "good" : "missing", base ? share.string() : "install share/ingot/models beside the binary (cmake --install)"});
  const bool runner = std::filesystem::exists(own_path().parent_path() / "ingot-runner", failed);
  out.push_back({"static runner", runner ? "good" : "missing", runner ? "ingot pack --executable works" : "ingot pack --executable needs ingot-runner beside ingot"});
  std::filesystem::path existing = data;
  while (!std::filesystem::exists(existing, failed) && existing.has_parent_path() && existing != existing.parent_path()) existing = existing.parent_path();
  const bool writable = access(existing.c_str(), W_OK) == 0;
  out.push_back({"data folder", writable ? "good" : "missing", writable ? fmt::format("{}, {:.0f} GB free", data.string(), static_cast<double>(free_bytes(data)) / 1e9) : fmt::format("{} cannot be written: choose another --data", data.string())});
  const auto models = stored_models(data);
  std::string chat;
  for (const StoredModel& model : models)
    if (model.kind == "chat") chat += (chat.empty() ? "" : ", ") + model.name;
  out.push_back({"chat model", chat.empty() ? "note" : "good", chat.empty() ? "none is here: ingot pull smollm2-135m-instruct (98 MB)" : chat});
  for (const auto& [program, need] : {std::pair{"git", "git: sources"}, {"apt-get", "debs: sources"}}) {
    bool found = false;
    const char* path = std::getenv("PATH");
    std::istringstream folders(path ? path : "");
    for (std::string folder; std::getline(folders, folder, ':');) found |= access((folder + "/" + program).c_str(), X_OK) == 0;
    out.push_back({program, found ? "good" : "note", std::string(found ? "for " : "not here; needed for ") + need});
  }
  out.push_back({"GPU", "note", "this build computes on the CPU alone"});
  return out;
}

}  // namespace

void add_doctor(CLI::App& app) {
  struct Options {
    std::string data;
    bool json = false;
  };
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "What this machine is good for: which sizes of model run, how fast at most, what is missing");
  command->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
  command->add_flag("--json", o->json, "print one JSON object");
  command->callback([o] {
    const auto data = data_folder(o->data);
    const Memory have = memory();
    const MachineLimits limits = measure_machine(default_team());
    ordered_json targets = ordered_json::array();
    for (Target target : available_targets()) targets.push_back(target_name(target));
    const ordered_json report = {{"version", INGOT_VERSION},
                         {"machine", {{"cpu", cpu_field("model name")}, {"cores", available_cores()}, {"targets", targets}, {"target", target_name(active_target())}, {"memory_gb", static_cast<double>(have.total) / 1e9},
                                      {"memory_available_gb", static_cast<double>(have.available) / 1e9}, {"read_gb_s", limits.read_gb_s}, {"f32_gflop_s", limits.f32_gflop_s}, {"bf16_gflop_s", limits.bf16_gflop_s}, {"int8_gop_s", limits.int8_gop_s}}},
                         {"models", models_that_run(limits, have)},
                         {"estimate", "limits from the measured bandwidth and peaks, not measured speeds; ingot bench MODEL measures"}};
    ordered_json found = ordered_json::array();
    for (const Finding& finding : findings(data)) found.push_back({{"what", finding.what}, {"state", finding.state}, {"note", finding.todo}});
    if (o->json) {
      ordered_json out = report;
      out["findings"] = found;
      std::puts(out.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
      return;
    }
    const ordered_json& machine = report["machine"];
    std::string names;
    for (const ordered_json& target : targets) names += " " + target.get<std::string>();
    fmt::print("processor  {}, {} cores may be used\n", machine["cpu"].get<std::string>().empty() ? "unknown" : machine["cpu"].get<std::string>(), machine["cores"].get<int>());
    fmt::print("targets   {}; in use: {}\n", names, machine["target"].get<std::string>());
    fmt::print("memory     {:.1f} GB, {:.1f} GB available\n", machine["memory_gb"].get<double>(), machine["memory_available_gb"].get<double>());
    fmt::print("measured   reads {:.1f} GB/s, float {:.0f} GFLOP/s, int8 {:.0f} GOP/s\n\n", limits.read_gb_s, limits.f32_gflop_s, limits.int8_gop_s);
    fmt::print("models with 4,096 tokens of context; speeds are the limits of the machine as just measured, an estimate:\n");
    fmt::print("{:<6} {:<6} {:>9}  {:<22} {:>16} {:>17}\n", "size", "type", "GB", "", "decode, at most", "prefill, at most");
    for (const ordered_json& row : report["models"]) {
      if (row["type"] == "F16" && row["size"] != "135M" && row["size"] != "1B") continue;
      const bool runs = row["runs"].get<bool>();
      fmt::print("{:<6} {:<6} {:>9.1f}  {:<22}", row["size"].get<std::string>(), row["type"].get<std::string>(), row["needed_gb"].get<double>(), runs ? "runs" : row["fits_the_machine"].get<bool>() ? "needs memory freed" : "too large");
      if (runs)
        fmt::print(" {:>10.1f} tok/s {:>11.0f} tok/s\n", row["decode_at_most_tokens_per_s"].get<double>(), row["prefill_at_most_tokens_per_s"].get<double>());
      else
        fmt::print("\n");
    }
    fmt::print("\n");
    for (const ordered_json& finding : found) fmt::print("{:<8} {:<16} {}\n", finding["state"].get<std::string>(), finding["what"].get<std::string>(), finding["note"].get<std::string>());
  });
}

}  // namespace ingot
