#include "cli/bench_model.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "runtime/open_model.h"

namespace ingot {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Sequences in one cache, advanced together.
class Runner {
 public:
  Runner(const Llama& model, int64_t positions, int sequences, ThreadTeam& team)
      : model_(model), cache_(model.make_cache((positions + 64) * sequences, CacheType::kF16)), team_(team), pages_(static_cast<size_t>(sequences)) {
    for (auto& list : pages_)
      for (int64_t i = 0; i < positions; i += 64) list.push_back(cache_.take());
  }

  // `rows` tokens for every sequence from `position` on, and the logits of each one's last.
  void pass(int64_t position, int64_t rows) {
    ids_.clear();
    places_.clear();
    for (auto& list : pages_)
      for (int64_t i = 0; i < rows; ++i) {
        ids_.push_back(static_cast<int32_t>((position + i) * 7919 % model_.config().vocab));
        places_.push_back({list.data(), static_cast<int32_t>(position + i)});
      }
    auto mark = arena_.mark();
    Context c{team_, arena_};
    Tensor hidden = model_.cached(c, ids_, places_, cache_);
    auto last = static_cast<int64_t>(pages_.size());
    model_.logits(c, rows == 1 ? hidden : Tensor{hidden.row(hidden.rows - last), nullptr, last, hidden.cols});
    arena_.release(mark);
  }
  size_t arena_bytes() const { return arena_.capacity_bytes(); }

 private:
  const Llama& model_;
  KvCache cache_;
  ThreadTeam& team_;
  Arena arena_;
  std::vector<std::vector<int32_t>> pages_;
  std::vector<int32_t> ids_;
  std::vector<RowPlace> places_;
};

constexpr int64_t kChunk = 256;
constexpr int kRounds = 5;

}  // namespace

nlohmann::json bench_model(const ModelBench& bench, const MachineLimits& limits, ThreadTeam& team) {
  auto start = Clock::now();
  auto language = open_model(bench.model);
  const Llama& model = *language.model;
  const LlamaConfig& c = model.config();
  const int64_t prompt = bench.prompt, decode = bench.decode;
  if (prompt + decode > c.context)
    bad_input("prompt and decode are " + std::to_string(prompt + decode) + " tokens, the model's context " + std::to_string(c.context), "--prompt", "give smaller numbers");
  const bool integer = model.head().type != ElementType::kF32 && model.head().type != ElementType::kF16 && model.head().type != ElementType::kBF16;
  Runner one(model, prompt + decode, 1, team);
  one.pass(0, 1);
  nlohmann::json out;
  out["load_to_first_token_s"] = seconds_since(start);
  std::vector<double> prefill, rest;
  for (int round = 0; round < kRounds; ++round) {
    start = Clock::now();
    for (int64_t at = 0; at < prompt; at += kChunk) one.pass(at, std::min(kChunk, prompt - at));
    prefill.push_back(static_cast<double>(prompt) / seconds_since(start));
    start = Clock::now();
    for (int64_t i = 0; i < decode; ++i) one.pass(prompt + i, 1);
    rest.push_back(static_cast<double>(decode) / seconds_since(start));
  }
  // A token needs every weight once from memory (the table one row), and two operations a weight.
  const double bytes = static_cast<double>(model.weight_bytes()) - (c.tied ? 0 : static_cast<double>(c.vocab * row_bytes(model.head().type, c.width)));
  const double kv = static_cast<double>(2 * c.layers * c.groups * c.head_size * 2) * static_cast<double>(prompt + decode / 2);
  const double decode_limit = limits.read_gb_s * 1e9 / (bytes + kv);
  const double ops = 2.0 * static_cast<double>(c.parameters() - c.vocab * c.width * (c.tied ? 1 : 2));
  const double prefill_limit = (integer ? limits.int8_gop_s : limits.f32_gflop_s) * 1e9 / ops;
  auto figure = [](double rate, double limit) { return nlohmann::json{{"tokens_per_s", rate}, {"limit_tokens_per_s", limit}, {"share_of_limit", rate / limit}}; };
  out["prefill"] = figure(median(prefill), prefill_limit);
  out["decode"] = figure(median(rest), decode_limit);
  out["batch"] = nlohmann::json::array();
  for (int sequences : bench.batch) {
    Runner many(model, prompt + decode, sequences, team);
    const int64_t rows = std::max<int64_t>(1, kChunk / sequences);
    for (int64_t at = 0; at < prompt; at += rows) many.pass(at, std::min(rows, prompt - at));
    std::vector<double> rates;
    for (int round = 0; round < 3; ++round) {
      start = Clock::now();
      for (int64_t i = 0; i < decode; ++i) many.pass(prompt + i, 1);
      rates.push_back(static_cast<double>(decode * sequences) / seconds_since(start));
    }
    const double limit = std::min(limits.read_gb_s * 1e9 * sequences / (bytes + kv * sequences), prefill_limit);
    auto entry = figure(median(rates), limit);
    entry["sequences"] = sequences;
    out["batch"].push_back(entry);
  }
  out["weights_bytes"] = model.weight_bytes();
  out["parameters"] = c.parameters();
  return out;
}

}  // namespace ingot
