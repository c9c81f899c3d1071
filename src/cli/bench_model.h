// The part of `ingot bench` that runs a model; apart from the machine part, which needs only the kernels.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/threads.h"
#include "kernels/machine_limits.h"
#include "ops/kv_cache.h"

namespace ingot {

struct ModelBench {
  std::string model;       // a file
  int prompt = 512;        // tokens of prefill
  int decode = 64;         // tokens decoded after it
  int rounds = 5;          // the figures are medians
  CacheType cache = CacheType::kF16;
  std::vector<std::string> adapters;  // LoRA: the sequences of a batch are shared out among them, and timed with and without
  std::vector<int> batch;  // numbers of sequences decoded together
};

// {"prefill": {...}, "decode": {...}, "batch": [...]}, each with tokens_per_s and share_of_limit; times and memory.
nlohmann::json bench_model(const ModelBench& bench, const MachineLimits& limits, ThreadTeam& team);
void print_model_bench(const nlohmann::json& report);

}  // namespace ingot
