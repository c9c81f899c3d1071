#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace ingot {
namespace {

// Seconds; vLLM's bounds, so that a dashboard's heat map keeps its rows.
const std::vector<double> kFirst{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160};
const std::vector<double> kBetween{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
const std::vector<double> kWhole{0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960};
const std::vector<double> kTokens{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

void header(std::string& out, const std::string& name, const char* type, const char* help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::add(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t sum = 0;
  for (const auto& count : counts_) sum += count.load(std::memory_order_relaxed);
  return sum;
}

void Histogram::write(std::string& out, const std::string& name, const std::string& labels) const {
  uint64_t below = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i].load(std::memory_order_relaxed);
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, i < bounds_.size() ? fmt::format("{}", bounds_[i]) : "+Inf", below);
  }
  out += fmt::format("{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, labels, sum_.load(std::memory_order_relaxed), name, labels, below);
}

ModelMetrics::ModelMetrics()
    : first_token(kFirst), between_tokens(kBetween), per_output_token(kBetween), whole(kWhole), prompt_tokens(kTokens), generated_tokens(kTokens) {}

ModelMetrics& Metrics::of(const std::string& model) {
  std::lock_guard lock(mutex_);
  auto& one = models_[model];
  if (!one) one = std::make_unique<ModelMetrics>();
  return *one;
}

void Metrics::count(const Usage& usage) {
  std::lock_guard lock(mutex_);
  ++requests_[{usage.route, usage.status}];
}

std::string metric_label(const std::string& value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

void Metrics::write(std::string& out) const {
  std::lock_guard lock(mutex_);
  const auto each = [&](const std::string& name, const char* type, const char* help, auto&& line) {
    header(out, name, type, help);
    for (const auto& [model, m] : models_) line(name, "model_name=\"" + metric_label(model) + "\"", *m);
  };
  const auto histogram = [&](const std::string& name, const char* help, const Histogram ModelMetrics::*which) {
    each(name, "histogram", help, [&](const std::string& n, const std::string& labels, const ModelMetrics& m) { (m.*which).write(out, n, labels); });
  };
  const auto number = [&](const std::string& name, const char* type, const char* help, auto&& value) {
    each(name, type, help, [&](const std::string& n, const std::string& labels, const ModelMetrics& m) { out += fmt::format("{}{{{}}} {}\n", n, labels, value(m)); });
  };
  number("vllm:prompt_tokens_total", "counter", "Prompt tokens read.", [](const ModelMetrics& m) { return m.prompt.load(); });
  number("vllm:generation_tokens_total", "counter", "Tokens generated.", [](const ModelMetrics& m) { return m.generated.load(); });
  number("vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up in the prefix cache.", [](const ModelMetrics& m) { return m.prompt.load(); });
  number("vllm:prefix_cache_hits_total", "counter", "Prompt tokens that the prefix cache held.", [](const ModelMetrics& m) { return m.cached.load(); });
  header(out, "vllm:request_success_total", "counter", "Answers by the reason they ended.");
  for (const auto& [model, m] : models_) {
    std::lock_guard inner(m->mutex);
    for (const auto& [reason, count] : m->finished)
      out += fmt::format("vllm:request_success_total{{model_name=\"{}\",finished_reason=\"{}\"}} {}\n", metric_label(model), reason, count);
  }
  histogram("vllm:time_to_first_token_seconds", "Time to the first token.", &ModelMetrics::first_token);
  histogram("vllm:inter_token_latency_seconds", "Time between two tokens of an answer.", &ModelMetrics::between_tokens);
  histogram("vllm:time_per_output_token_seconds", "The same, by its older name.", &ModelMetrics::between_tokens);
  histogram("vllm:request_time_per_output_token_seconds", "Mean time a token after the first, by answer.", &ModelMetrics::per_output_token);
  histogram("vllm:e2e_request_latency_seconds", "Time from the request to the end of its answer.", &ModelMetrics::whole);
  histogram("vllm:request_prompt_tokens", "Prompt tokens by request.", &ModelMetrics::prompt_tokens);
  histogram("vllm:request_generation_tokens", "Generated tokens by request.", &ModelMetrics::generated_tokens);
  header(out, "ingot_http_requests_total", "counter", "Requests by route and status.");
  for (const auto& [key, count] : requests_) out += fmt::format("ingot_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", metric_label(key.first), key.second, count);
}

}  // namespace ingot
