#include "serve/tracer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "core/error.h"
#include "net/http_post.h"
#include "serve/call.h"

namespace ingot {
namespace {

constexpr size_t kMostWaiting = 4096, kMostAtOnce = 512;  // requests
constexpr auto kGather = std::chrono::milliseconds(500);
constexpr auto kCollectorTime = std::chrono::milliseconds(3000);

struct TraceParent {
  std::string trace, span;
  bool sampled = true;
};

// W3C's traceparent: 00-TRACE-SPAN-FLAGS.
std::optional<TraceParent> read_traceparent(std::string_view text) {
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' || text.starts_with("ff")) return std::nullopt;
  TraceParent out{std::string(text.substr(3, 32)), std::string(text.substr(36, 16)), false};
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  for (const std::string* id : {&out.trace, &out.span})
    if (!std::all_of(id->begin(), id->end(), hex) || id->find_first_not_of('0') == std::string::npos) return std::nullopt;
  if (!hex(text[53]) || !hex(text[54])) return std::nullopt;
  const char low = text[54];
  out.sampled = (low <= '9' ? low - '0' : low - 'a' + 10) & 1;
  return out;
}

Json text_attribute(const char* key, const std::string& value) { return {{"key", key}, {"value", {{"stringValue", value}}}}; }
Json count_attribute(const char* key, int64_t value) { return {{"key", key}, {"value", {{"intValue", std::to_string(value)}}}}; }

}  // namespace

std::string otlp_json(const std::vector<RequestTrace>& traces, const std::function<std::string()>& ids) {
  Json spans = Json::array();
  for (const RequestTrace& t : traces) {
    const Usage& u = t.usage;
    const auto parent = read_traceparent(t.parent);
    if (parent && !parent->sampled) continue;
    const std::string trace = parent ? parent->trace : ids() + ids(), root = ids();
    const auto at = [&](double s) { return std::to_string(t.start_ns + static_cast<int64_t>(s * 1e9)); };
    const auto span = [&](const std::string& name, const std::string& id, const std::string& above, int kind, double from, double to) {
      Json one = {{"traceId", trace}, {"spanId", id}};
      if (!above.empty()) one["parentSpanId"] = above;
      one.update({{"name", name}, {"kind", kind}, {"startTimeUnixNano", at(from)}, {"endTimeUnixNano", at(std::max(from, to))}});
      return one;
    };
    Json whole = span(t.method + " " + u.route, root, parent ? parent->span : "", 2, 0, u.total_s);
    whole["attributes"] = {text_attribute("http.request.method", t.method), text_attribute("http.route", u.route), count_attribute("http.response.status_code", u.status),
                           text_attribute("ingot.answer_id", t.id)};
    if (!u.model.empty()) {
      whole["attributes"].push_back(text_attribute("gen_ai.request.model", u.model));
      whole["attributes"].push_back(text_attribute("ingot.ai", u.ai));
      whole["attributes"].push_back(count_attribute("gen_ai.usage.input_tokens", u.prompt_tokens));
      whole["attributes"].push_back(count_attribute("gen_ai.usage.output_tokens", u.generated_tokens));
      whole["attributes"].push_back(count_attribute("ingot.cached_tokens", u.cached_tokens));
    }
    if (u.status >= 500) whole["status"] = {{"code", 2}};
    spans.push_back(std::move(whole));
    if (u.first_token_s <= 0) continue;  // nothing was generated
    const double asked = u.begun_s, read = asked + u.queue_s, first = asked + u.first_token_s;
    spans.push_back(span("queue", ids(), root, 1, asked, read));
    spans.push_back(span("prefill", ids(), root, 1, read, first));
    spans.push_back(span("decode", ids(), root, 1, first, std::max(first, asked + u.generation_s)));
  }
  const Json resource = {{"attributes", {text_attribute("service.name", "ingot"), text_attribute("service.version", INGOT_VERSION)}}};
  const Json scope = {{"scope", {{"name", "ingot.serve"}, {"version", INGOT_VERSION}}}, {"spans", std::move(spans)}};
  return dump({{"resourceSpans", Json::array({{{"resource", resource}, {"scopeSpans", Json::array({scope})}}})}});
}

Tracer::Tracer(const std::string& url, std::function<void(const std::string&)> log) : url_(url), log_(std::move(log)) {
  if (!can_post()) throw Error(ErrorKind::environment, "this runner has no HTTP client, so it cannot send traces", "--otlp", "serve the file with the full ingot, or leave traces out");
  const size_t scheme = url_.starts_with("http://") ? 7 : url_.starts_with("https://") ? 8 : 0;
  if (!scheme || url_.size() == scheme) throw Error(ErrorKind::usage, "not a collector's address: " + url_, "--otlp", "give http://HOST:4318");
  const size_t slash = url_.find('/', scheme);
  if (slash == std::string::npos) url_ += "/v1/traces";
  else if (slash + 1 == url_.size()) url_ += "v1/traces";
  worker_ = std::thread([this] { work(); });
}

Tracer::~Tracer() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  worker_.join();
}

void Tracer::add(RequestTrace trace) {
  std::lock_guard lock(mutex_);
  if (waiting_.size() >= kMostWaiting) {
    ++dropped_;
    return;
  }
  waiting_.push_back(std::move(trace));
  if (waiting_.size() == 1 || waiting_.size() == kMostAtOnce) wake_.notify_one();
}

void Tracer::work() {
  std::mt19937_64 random(std::random_device{}());
  const auto ids = [&] { return fmt::format("{:016x}", random() | 1); };
  bool failing = false;
  for (;;) {
    std::vector<RequestTrace> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
      wake_.wait_for(lock, kGather, [&] { return stop_ || waiting_.size() >= kMostAtOnce; });
      if (waiting_.empty()) return;  // stopped
      const auto count = static_cast<ptrdiff_t>(std::min(waiting_.size(), kMostAtOnce));
      batch.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.begin() + count));
      waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    }
    const PostAnswer answer = http_post(url_, "application/json", otlp_json(batch, ids), kCollectorTime);
    const bool taken = answer.status >= 200 && answer.status < 300;
    (taken ? sent_ : dropped_) += batch.size();
    if (taken == failing && log_)
      log_(taken ? "traces are sent again to " + url_ : fmt::format("traces cannot be sent to {}: {}; they are dropped until they can", url_, answer.fault.empty() ? std::to_string(answer.status) : answer.fault));
    failing = !taken;
    std::lock_guard lock(mutex_);
    if (stop_ && failing) return;
  }
}

}  // namespace ingot
