// What the service counts, in Prometheus' text form. Names that dashboards know from vLLM are used where the meaning is the same.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/access.h"

namespace ingot {

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void add(double value);
  // NAME_bucket, NAME_sum and NAME_count with the labels.
  void write(std::string& out, const std::string& name, const std::string& labels) const;
  uint64_t count() const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;  // one more than bounds
  std::atomic<double> sum_{0};
};

// Of one model. Any thread.
struct ModelMetrics {
  ModelMetrics();
  Histogram first_token, between_tokens, per_output_token, whole, prompt_tokens, generated_tokens;
  std::atomic<uint64_t> prompt{0}, cached{0}, generated{0};
  std::atomic<int64_t> running{0};  // requests
  std::mutex mutex;
  std::map<std::string, uint64_t> finished;  // by reason
};

class Metrics {
 public:
  ModelMetrics& of(const std::string& model);  // stays where it is
  void count(const Usage& usage);              // one request is over
  // Of all models and routes; the caller adds what only it knows.
  void write(std::string& out) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<ModelMetrics>> models_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;  // by route and status
};

std::string metric_label(const std::string& value);  // escaped, without quotes

}  // namespace ingot
