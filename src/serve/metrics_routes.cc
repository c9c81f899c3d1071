// Prometheus' /metrics.
#include <fmt/format.h>

#include "runtime/engine.h"
#include "serve/call.h"
#include "serve/service.h"

namespace ingot {
namespace {

void metrics(Service& service, Call& call) {
  std::string out;
  service.metrics().write(out);
  const auto models = service.models().list();
  const auto gauge = [&](const char* name, const char* type, const char* help, auto&& value) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    for (const auto& one : models)
      if (one.model && one.model->engine)
        out += fmt::format("{}{{model_name=\"{}\"}} {}\n", name, metric_label(one.name), value(one.model->engine->stats()));
  };
  gauge("vllm:num_requests_running", "gauge", "Answers that are being generated.", [](const EngineStats& s) { return s.running; });
  gauge("vllm:num_requests_waiting", "gauge", "Answers that wait for their turn.", [](const EngineStats& s) { return s.waiting; });
  gauge("vllm:kv_cache_usage_perc", "gauge", "Share of the key/value cache in use, 0 to 1.",
        [](const EngineStats& s) { return s.pages ? static_cast<double>(s.pages_used) / static_cast<double>(s.pages) : 0.0; });
  gauge("vllm:num_preemptions_total", "counter", "Sequences that were set aside for others.", [](const EngineStats& s) { return s.preempted; });
  gauge("vllm:spec_decode_num_draft_tokens_total", "counter", "Tokens proposed by speculation.", [](const EngineStats& s) { return s.drafted; });
  gauge("vllm:spec_decode_num_accepted_tokens_total", "counter", "Of those, the ones that were right.", [](const EngineStats& s) { return s.accepted; });
  out += "# HELP ingot_model_loaded Whether a model is in memory.\n# TYPE ingot_model_loaded gauge\n";
  for (const auto& one : models) out += fmt::format("ingot_model_loaded{{model_name=\"{}\"}} {}\n", metric_label(one.name), one.loaded ? 1 : 0);
  out += fmt::format("# HELP ingot_uptime_seconds Time since the start.\n# TYPE ingot_uptime_seconds gauge\ningot_uptime_seconds {:.3f}\n", service.uptime_s());
  out += fmt::format("# HELP ingot_requests_running Requests under way.\n# TYPE ingot_requests_running gauge\ningot_requests_running {}\n", service.workers().running());
  call.reply_text("text/plain; version=0.0.4; charset=utf-8", out);
}

}  // namespace

void add_metrics_routes(ApiRoutes& routes) {
  routes.push_back({"GET", "/metrics", Scope::kRead, "Counts and times, for Prometheus.", "", metrics, false, ApiStyle::kOpenAi, "text/plain"});
}

}  // namespace ingot
