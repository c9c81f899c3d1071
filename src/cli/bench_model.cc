#include "cli/bench_model.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/llama/lora.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Bytes in memory now, those of mapped files apart; -1 where the system does not say.
struct Memory {
  int64_t own = -1, mapped = -1;
};

Memory memory_now() {
  Memory found;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file) return found;
  long long size, resident, shared;
  if (std::fscanf(file, "%lld %lld %lld", &size, &resident, &shared) == 3) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    found = {(resident - shared) * page, shared * page};
  }
  std::fclose(file);
  return found;
}

// Sequences in one cache, advanced together.
class Runner {
 public:
  Runner(const Llama& model, int64_t positions, int sequences, CacheType type, ThreadTeam& team)
      : model_(model), cache_(model.make_cache((positions + 64) * sequences, type)), team_(team), pages_(static_cast<size_t>(sequences)) {
    for (auto& list : pages_)
      for (int64_t i = 0; i < positions; i += 64) list.push_back(cache_.take());
  }

  // `rows` tokens for every sequence from `position` on; the logits of each one's last where `ends`.
  void pass(int64_t position, int64_t rows, bool ends = true) {
    ids_.clear();
    places_.clear();
    for (auto& list : pages_)
      for (int64_t i = 0; i < rows; ++i) {
        ids_.push_back(static_cast<int32_t>((position + i) * 7919 % model_.config().vocab));
        places_.push_back({list.data(), static_cast<int32_t>(position + i)});
      }
    auto mark = arena_.mark();
    Context c{team_, arena_};
    Tensor hidden = model_.cached(c, ids_, places_, cache_, adapters_);
    auto last = static_cast<int64_t>(pages_.size());
    if (ends) model_.logits(c, rows == 1 ? hidden : Tensor{hidden.row(hidden.rows - last), nullptr, last, hidden.cols}, adapters_);
    arena_.release(mark);
  }

  // From here on a sequence goes through one of these; none: through the model alone. REQUIRES: passes of one row a sequence.
  void use(std::span<const std::shared_ptr<const LoraAdapter>> adapters) {
    adapters_.clear();
    const auto all = static_cast<int64_t>(pages_.size()), count = std::min<int64_t>(static_cast<int64_t>(adapters.size()), all);
    for (int64_t i = 0; i < count; ++i) adapters_.push_back({adapters[static_cast<size_t>(i)].get(), all * i / count, all * (i + 1) / count - all * i / count});
  }

  // A prompt of `length` in chunks, as the engine takes it; its last token's logits.
  void prefill(int64_t length, int64_t chunk) {
    for (int64_t at = 0; at < length; at += chunk) pass(at, std::min(chunk, length - at), at + chunk >= length);
  }
  size_t arena_bytes() const { return arena_.capacity_bytes(); }
  int64_t position_bytes() const { return cache_.page_bytes() / 64; }
  int64_t cache_bytes() const { return cache_.pages() * cache_.page_bytes(); }

 private:
  const Llama& model_;
  KvCache cache_;
  ThreadTeam& team_;
  Arena arena_;
  std::vector<std::vector<int32_t>> pages_;
  std::vector<int32_t> ids_;
  std::vector<RowPlace> places_;
  std::vector<AdapterRows> adapters_;
};

constexpr int64_t kChunk = 256;

}  // namespace

nlohmann::json bench_model(const ModelBench& bench, const MachineLimits& limits, ThreadTeam& team) {
  auto start = Clock::now();
  auto language = open_model(bench.model);
  const double load = seconds_since(start);
  const Llama& model = *language.model;
  const LlamaConfig& c = model.config();
  const int64_t prompt = bench.prompt, decode = bench.decode;
  if (prompt + decode > c.context)
    bad_input("prompt and decode are " + std::to_string(prompt + decode) + " tokens, the model's context " + std::to_string(c.context), "--prompt", "give smaller numbers");
  const bool integer = model.head().type != ElementType::kF32 && model.head().type != ElementType::kF16 && model.head().type != ElementType::kBF16;
  Runner one(model, prompt + decode, 1, bench.cache, team);
  one.pass(0, 1);
  nlohmann::json out;
  out["load_s"] = load;
  out["load_to_first_token_s"] = seconds_since(start);
  std::vector<double> prefill, first, rest;
  for (int round = 0; round < bench.rounds; ++round) {
    start = Clock::now();
    one.prefill(prompt, kChunk);
    first.push_back(seconds_since(start));
    prefill.push_back(static_cast<double>(prompt) / first.back());
    start = Clock::now();
    for (int64_t i = 0; i < decode; ++i) one.pass(prompt + i, 1);
    rest.push_back(static_cast<double>(decode) / seconds_since(start));
  }
  // A token needs every weight once from memory (the table one row), and two operations a weight.
  const double bytes = static_cast<double>(model.weight_bytes()) - (c.tied ? 0 : static_cast<double>(c.vocab * row_bytes(model.head().type, c.width)));
  const double kv = static_cast<double>(one.position_bytes()) * static_cast<double>(prompt + decode / 2);
  const double decode_limit = limits.read_gb_s * 1e9 / (bytes + kv);
  const double ops = 2.0 * static_cast<double>(c.parameters() - c.vocab * c.width * (c.tied ? 1 : 2));
  const double prefill_limit = (integer ? limits.int8_gop_s : limits.f32_gflop_s) * 1e9 / ops;
  auto figure = [](double rate, double limit) { return nlohmann::json{{"tokens_per_s", rate}, {"limit_tokens_per_s", limit}, {"share_of_limit", rate / limit}}; };
  out["prefill"] = figure(median(prefill), prefill_limit);
  out["prefill"]["tokens"] = prompt;
  out["time_to_first_token_s"] = median(first);
  out["decode"] = figure(median(rest), decode_limit);
  out["decode"]["tokens"] = decode;
  out["batch"] = nlohmann::json::array();
  std::vector<std::shared_ptr<const LoraAdapter>> adapters;
  for (const std::string& path : bench.adapters) adapters.push_back(LoraAdapter::open(path, model));
  for (int sequences : bench.batch) {
    Runner many(model, prompt + decode, sequences, bench.cache, team);
    many.prefill(prompt, std::max<int64_t>(1, kChunk / sequences));
    std::vector<double> rates, adapted;
    for (int round = 0; round < std::min(3, bench.rounds); ++round)
      for (bool with : {false, true}) {  // turn about, so that a busy neighbour hits both
        if (with && adapters.empty()) continue;
        many.use(with ? adapters : decltype(adapters){});
        start = Clock::now();
        for (int64_t i = 0; i < decode; ++i) many.pass(prompt + i, 1);
        (with ? adapted : rates).push_back(static_cast<double>(decode * sequences) / seconds_since(start));
      }
    const double limit = std::min(limits.read_gb_s * 1e9 * sequences / (bytes + kv * sequences), prefill_limit);
    auto entry = figure(median(rates), limit);
    entry["sequences"] = sequences;
    if (!adapted.empty()) entry["adapters"] = {{"count", std::min<size_t>(adapters.size(), static_cast<size_t>(sequences))}, {"tokens_per_s", median(adapted)}, {"share_of_plain", median(adapted) / median(rates)}};
    out["batch"].push_back(entry);
  }
  const Memory memory = memory_now();
  out["memory"] = {{"weights_bytes", model.weight_bytes()}, {"cache_bytes", one.cache_bytes()}, {"scratch_bytes", one.arena_bytes()},
                   {"own_bytes", memory.own}, {"mapped_bytes", memory.mapped}};
  out["weights_bytes"] = model.weight_bytes();
  out["parameters"] = c.parameters();
  return out;
}

void print_model_bench(const nlohmann::json& report) {
  auto line = [&](const std::string& name, const nlohmann::json& r) {
    std::printf("%-22s %10.1f %10.1f %9.0f %%\n", name.c_str(), r["tokens_per_s"].get<double>(), r["limit_tokens_per_s"].get<double>(),
                100 * r["share_of_limit"].get<double>());
  };
  std::printf("\n%-22s %10s %10s %11s\n", "model", "tokens/s", "limit", "share");
  line("prefill " + std::to_string(report["prefill"]["tokens"].get<int64_t>()), report["prefill"]);
  line("decode " + std::to_string(report["decode"]["tokens"].get<int64_t>()), report["decode"]);
  for (const auto& entry : report["batch"]) {
    line("batch of " + std::to_string(entry["sequences"].get<int>()), entry);
    if (entry.contains("adapters"))
      std::printf("  %-20s %10.1f %20.0f %% of it\n", (std::to_string(entry["adapters"]["count"].get<int>()) + " adapters").c_str(),
                  entry["adapters"]["tokens_per_s"].get<double>(), 100 * entry["adapters"]["share_of_plain"].get<double>());
  }
  std::printf("\nload %.3f s, to the first token of one %.3f s, of the prompt %.3f s\n", report["load_s"].get<double>(),
              report["load_to_first_token_s"].get<double>(), report["time_to_first_token_s"].get<double>());
  const auto& m = report["memory"];
  auto megabytes = [&](const char* name) { return m[name].get<double>() / 1e6; };
  std::printf("memory: weights %.0f MB; the process holds %.0f MB of its own and %.0f MB of mapped files\n", megabytes("weights_bytes"), megabytes("own_bytes"),
              megabytes("mapped_bytes"));
}

}  // namespace ingot
