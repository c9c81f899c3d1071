// OpenTelemetry: a span for each request, with its waiting, reading and answering below it, sent by OTLP/HTTP as JSON.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "serve/access.h"

namespace ingot {

struct RequestTrace {
  Usage usage;
  std::string method, id;   // id: the answer's
  std::string parent;       // the request's traceparent header, may be empty
  int64_t start_ns = 0;     // since 1970
};

// The body of one export. ids: makes 16 hex digits.
std::string otlp_json(const std::vector<RequestTrace>& traces, const std::function<std::string()>& ids);

// A thread of its own sends; what waits is bounded, and no request ever waits for a collector.
class Tracer {
 public:
  // url: of a collector; without a path, /v1/traces. Throws Error (usage) for what is no URL, Error (environment) in the static runner.
  Tracer(const std::string& url, std::function<void(const std::string&)> log);
  ~Tracer();  // sends what is left, trying once
  void add(RequestTrace trace);  // any thread; dropped where too many wait
  uint64_t sent() const { return sent_; }
  uint64_t dropped() const { return dropped_; }

 private:
  void work();
  std::string url_;
  std::function<void(const std::string&)> log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<RequestTrace> waiting_;
  bool stop_ = false;
  std::atomic<uint64_t> sent_{0}, dropped_{0};  // requests
  std::thread worker_;
};

}  // namespace ingot
