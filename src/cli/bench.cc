#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench_model.h"
#include "cli/command.h"
#include "cli/engine_options.h"
#include "cli/number_range.h"
#include "core/huge_memory.h"
#include "core/progress.h"
#include "kernels/dequantize.h"
#include "kernels/gemm.h"
#include "kernels/machine_limits.h"
#include "kernels/matmul.h"
#include "kernels/target.h"

namespace ingot {
namespace {

// Best of a few runs within about 0.3 s: what the code can do when the neighbours are quiet.
template <class Body>
double best_seconds(const Body& body) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  auto first = Clock::now();
  for (int run = 0; run < 20; ++run) {
    auto start = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    if (run >= 2 && std::chrono::duration<double>(Clock::now() - first).count() > 0.3) break;
  }
  return best;
}

nlohmann::json row(std::string name, std::string shape, double rate, const char* unit, double limit) {
  return {{"name", std::move(name)}, {"shape", std::move(shape)}, {"rate", rate}, {"unit", unit}, {"share_of_limit", rate / limit}};
}

nlohmann::json dense_rows(const MachineLimits& limits, ThreadTeam& team) {
  nlohmann::json rows = nlohmann::json::array();
  constexpr int64_t m = 4096, n = 768, k = 768;
  std::vector<float> a(m * k, 1.25f), b(n * k, 0.5f), c(m * n);
  struct Form {
    const char* name;
    Transpose ta, tb;
  };
  for (const Form& f : {Form{"A B", Transpose::kNo, Transpose::kNo}, Form{"A B^T", Transpose::kNo, Transpose::kYes},
                        Form{"A^T B", Transpose::kYes, Transpose::kNo}}) {
    int64_t lda = f.ta == Transpose::kNo ? k : m, ldb = f.tb == Transpose::kNo ? n : k;
    double flop = 2.0 * m * n * k / 1e9;
    double s = best_seconds([&] { gemm_f32(f.ta, f.tb, m, n, k, a.data(), lda, b.data(), ldb, c.data(), n, false, team); });
    rows.push_back(row(std::string("f32 ") + f.name, "4096x768x768", flop / s, "GFLOP/s", limits.f32_gflop_s));
    s = best_seconds([&] { gemm_bf16(f.ta, f.tb, m, n, k, a.data(), lda, b.data(), ldb, c.data(), n, false, team); });
    rows.push_back(row(std::string("bf16 ") + f.name, "4096x768x768", flop / s, "GFLOP/s", limits.bf16_gflop_s));
  }
  return rows;
}

nlohmann::json quantised_rows(const MachineLimits& limits, ThreadTeam& team) {
  nlohmann::json rows = nlohmann::json::array();
  constexpr int64_t k = 2048, prompt = 256, prompt_n = 2048;
  std::vector<float> x(prompt * k, 0.5f), y;
  for (ElementType type : {ElementType::kQ4_0, ElementType::kQ4_1, ElementType::kQ4_K, ElementType::kQ5_K, ElementType::kQ6_K, ElementType::kQ8_0,
                           ElementType::kIQ4_XS, ElementType::kF16}) {
    // As much as the read limit was measured on: with 75 MB a 32 MiB cache keeps a good part and the share passes 100 %.
    const int64_t n = (int64_t{1} << 29) / row_bytes(type, k);
    y.resize(static_cast<size_t>(std::max(n, prompt * prompt_n)));
    std::vector<uint8_t> w(static_cast<size_t>(n * row_bytes(type, k)), 0x21);
    std::string name(element_name(type));
    // In the order that a model's weights are in once it is loaded.
    const auto laid = huge_memory(static_cast<size_t>(interleaved_bytes(type, n, k)));
    if (!laid) throw std::bad_alloc();
    const MatmulPart decode{type, w.data(), laid.get(), n, y.data()};
    MatmulPart prefill = decode;
    prefill.n = prompt_n;
    team.run([&](int part, int parts) {
      const int64_t groups = (n + 15) / 16;
      interleave_groups(type, w.data(), n, k, groups * part / parts, groups * (part + 1) / parts, laid.get());
    });
    double s = best_seconds([&] { matmul({&decode, 1}, k, x.data(), 1, team); });
    rows.push_back(row(name + " decode", "1x" + std::to_string(n) + "x2048", static_cast<double>(w.size()) / s / 1e9, "GB/s", limits.read_gb_s));
    s = best_seconds([&] { matmul({&prefill, 1}, k, x.data(), prompt, team); });
    bool integer = block_length(type) > 1;
    rows.push_back(row(name + " prefill", "256x2048x2048", 2.0 * prompt * prompt_n * k / s / 1e9, integer ? "GOP/s" : "GFLOP/s",
                       integer ? limits.int8_gop_s : limits.f32_gflop_s));
  }
  return rows;
}

void print(const nlohmann::json& report) {
  const auto& machine = report["machine"];
  std::printf("machine  target %s, %d threads\n", machine["target"].get<std::string>().c_str(), machine["threads"].get<int>());
  std::printf("  read   %8.1f GB/s\n  f32    %8.0f GFLOP/s\n  bf16   %8.0f GFLOP/s\n  int8   %8.0f GOP/s\n", machine["read_gb_s"].get<double>(),
              machine["f32_gflop_s"].get<double>(), machine["bf16_gflop_s"].get<double>(), machine["int8_gop_s"].get<double>());
  if (report.contains("kernels")) {
    std::printf("\n%-16s %-16s %10s %-8s %s\n", "kernel", "m x n x k", "rate", "", "of the limit");
    for (const auto& r : report["kernels"])
      std::printf("%-16s %-16s %10.1f %-8s %5.0f %%\n", r["name"].get<std::string>().c_str(), r["shape"].get<std::string>().c_str(),
                  r["rate"].get<double>(), r["unit"].get<std::string>().c_str(), 100 * r["share_of_limit"].get<double>());
  }
  if (report.contains("kernels"))
    for (const auto& r : report["kernels"])
      if (r["share_of_limit"].get<double>() > 1.02) {
        std::printf("\nA share above 100 %% means that a limit was measured too low (a busy machine?): run it again.\n");
        break;
      }
  if (report.contains("prefill")) print_model_bench(report);
}

struct BenchOptions {
  ModelBench bench;
  int threads = 0;
  bool json = false;
};

void run(const BenchOptions& options) {
  end_on_interrupt();
  std::unique_ptr<ThreadTeam> own;
  if (options.threads > 0) own = std::make_unique<ThreadTeam>(options.threads);
  ThreadTeam& team = own ? *own : default_team();
  MachineLimits limits = measure_machine(team);
  nlohmann::json report = {{"machine",
                            {{"target", target_name(active_target())},
                             {"threads", team.size()},
                             {"read_gb_s", limits.read_gb_s},
                             {"f32_gflop_s", limits.f32_gflop_s},
                             {"bf16_gflop_s", limits.bf16_gflop_s},
                             {"int8_gop_s", limits.int8_gop_s}}}};
  if (options.bench.model.empty()) {
    report["kernels"] = dense_rows(limits, team);
    for (auto& r : quantised_rows(limits, team)) report["kernels"].push_back(std::move(r));
  } else {
    report.update(bench_model(options.bench, limits, team));
  }
  if (options.json)
    std::puts(report.dump().c_str());
  else
    print(report);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  options->bench.batch = {1};
  auto* command = app.add_subcommand("bench", "Measure this machine's limits, and the kernels or a model as a share of them");
  command->add_option("model", options->bench.model, "A model file; without one, the kernels are measured");
  command->add_option("--prompt", options->bench.prompt, "Tokens of prefill")->check(whole(1));
  command->add_option("--decode", options->bench.decode, "Tokens to decode")->check(whole(1));
  command->add_option("--batch", options->bench.batch, "Sequences decoded together, a list such as 1,16")->delimiter(',')->check(whole(1));
  command->add_option("--adapter", options->bench.adapters, "A LoRA adapter (may be repeated): batches are timed through them too")->check(CLI::ExistingPath);
  command->add_option("--rounds", options->bench.rounds, "Times each figure is measured; the median is printed")->check(whole(1));
  add_cache_option(*command, options->bench.cache);
  command->add_option("--threads", options->threads, "Threads to use")->check(whole(1, 1024));
  command->add_flag("--json", options->json, "Print one JSON object");
  command->callback([options] { run(*options); });
}

}  // namespace ingot
