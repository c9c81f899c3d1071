// The service: takes a request from the network thread through access, its route and a worker to its answer.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "serve/access.h"
#include "serve/flywheel_desk.h"
#include "serve/metrics.h"
#include "serve/model_registry.h"
#include "serve/site.h"
#include "serve/subjects.h"
#include "serve/tracer.h"
#include "serve/worker_pool.h"

namespace ingot {

class Call;
struct Refusal;

struct ServiceOptions {
  std::filesystem::path data;     // feedback and promoted versions; empty: feedback is refused
  size_t requests = 1024;         // worked on at once; one more gets 429. 0: each runs on the thread that brings it (tests)
  int64_t answer_tokens = 2048;   // of an answer whose request names no limit
  FlywheelSite flywheel = {};
  bool pass_on = false;           // a question in a conversation that is another AI's subject is answered by that one
};

class Service {
 public:
  Service(std::unique_ptr<ModelRegistry> models, std::unique_ptr<Access> access, ServiceOptions options);
  // AIs alone, on loopback, without threads of its own.
  Service(std::vector<std::shared_ptr<const Ai>> ais, std::filesystem::path data);
  ~Service();  // as stop()

  // Returns at once. Thread-safe.
  void handle(const std::shared_ptr<HttpExchange>& exchange);
  // A trace of each request goes to this OpenTelemetry collector. Before the first request; throws what Tracer throws.
  void trace_to(const std::string& url, std::function<void(const std::string&)> log);
  ModelRegistry::Reloaded reload_now();
  void reload();  // as POST /v1/reload, on a worker; any thread
  // Cancels what is under way and waits for it; call before the server that the exchanges came from ends.
  void stop();

  // The body of an error in OpenAI's shape, for requests that never came as far as a route.
  static std::string error_body(int status, std::string_view message);

  ModelRegistry& models() { return *models_; }
  Access& access() { return *access_; }
  Metrics& metrics() { return metrics_; }
  Subjects& subjects() { return subjects_; }
  FlywheelDesk& flywheel() { return flywheel_; }
  WorkerPool& generators() { return generators_; }
  const WorkerPool& workers() const { return workers_; }
  const ServiceOptions& options() const { return options_; }
  bool stopping() const { return stopping_; }
  double uptime_s() const;

 private:
  void run(Call& call);
  void fail(Call& call, const Refusal& refusal);
  void trace(const Usage& usage, const HttpRequest& request, const std::string& id);
  std::string new_id();

  ServiceOptions options_;
  std::unique_ptr<ModelRegistry> models_;
  std::unique_ptr<Access> access_;
  Metrics metrics_;
  Subjects subjects_;
  FlywheelDesk flywheel_;
  std::string session_;  // random; makes ids differ between runs
  std::atomic<uint64_t> answers_{0};
  std::atomic<bool> stopping_{false};
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::unique_ptr<Tracer> tracer_;  // null: no traces
  WorkerPool generators_, workers_;  // last: their tasks use all the others
};

}  // namespace ingot
