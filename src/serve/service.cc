#include "serve/service.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "runtime/engine.h"
#include "serve/call.h"
#include "serve/console_page.h"
#include "serve/refusal.h"

namespace ingot {
namespace {

Json openai_error(const Refusal& refusal) {
  const int s = refusal.status;
  const char* type = s == 401 ? "authentication_error" : s == 403 ? "permission_error" : s == 404 ? "not_found_error" : s == 429 ? "rate_limit_error" :
                     s < 500 ? "invalid_request_error" : "server_error";
  return {{"error", {{"message", refusal.message}, {"type", type}, {"param", refusal.param.empty() ? Json() : Json(refusal.param)},
                     {"code", refusal.code.empty() ? Json() : Json(refusal.code)}}}};
}

Json anthropic_error(const Refusal& refusal, const std::string& id) {
  const int s = refusal.status;
  const char* type = s == 401 ? "authentication_error" : s == 403 ? "permission_error" : s == 404 ? "not_found_error" : s == 413 ? "request_too_large" :
                     s == 429 ? "rate_limit_error" : s == 503 ? "overloaded_error" : s < 500 ? "invalid_request_error" : "api_error";
  return {{"type", "error"}, {"error", {{"type", type}, {"message", refusal.message}}}, {"request_id", id}};
}

Json error_of(ApiStyle style, const Refusal& refusal, const std::string& id) {
  return style == ApiStyle::kAnthropic ? anthropic_error(refusal, id) : openai_error(refusal);
}

// Other upgrades (Java's clients offer HTTP/2) may be left alone, as RFC 9110 has it.
bool asks_for_websocket(const HttpRequest& request) {
  std::string wanted(request.header("upgrade"));
  for (char& c : wanted) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return wanted.find("websocket") != std::string::npos;
}

void answer_error(HttpExchange& exchange, ApiStyle style, const Refusal& refusal, const std::string& id, const std::string& allowed = "", const std::string& ignored = "") {
  HttpHeaders headers{{"X-Request-Id", id}};
  if (refusal.retry_after_s > 0) headers.push_back({"Retry-After", std::to_string(refusal.retry_after_s)});
  // A browser asks its user for a key where it meets this challenge, and sends it along from then on.
  if (refusal.status == 401) headers.push_back({"WWW-Authenticate", style == ApiStyle::kPage ? "Basic realm=\"Ingot\", charset=\"UTF-8\"" : "Bearer"});
  if (!allowed.empty()) headers.push_back({"Allow", allowed});
  if (!ignored.empty()) headers.push_back({"X-Ingot-Ignored-Fields", ignored});
  if (style == ApiStyle::kPage) {
    headers.insert(headers.end(), page_headers().begin(), page_headers().end());
    return exchange.send(refusal.status, "text/html; charset=utf-8", error_page(refusal), headers);
  }
  exchange.send(refusal.status, "application/json", dump(error_of(style, refusal, id)), headers);
}

}  // namespace

std::string Service::error_body(int status, std::string_view message) { return dump(openai_error({status, std::string(message), "", ""})); }

Service::Service(std::unique_ptr<ModelRegistry> models, std::unique_ptr<Access> access, ServiceOptions options)
    : options_(std::move(options)), models_(std::move(models)), access_(std::move(access)), flywheel_(options_.data, options_.flywheel, *models_, subjects_),
      session_(fmt::format("{:08x}{:08x}", std::random_device()(), std::random_device()())), generators_(4 * std::max<size_t>(options_.requests, 16)),
      workers_(options_.requests) {
  subjects_.renew(*models_);
}

namespace {

std::unique_ptr<ModelRegistry> registry_of(std::vector<std::shared_ptr<const Ai>> ais) {
  auto models = std::make_unique<ModelRegistry>(RegistryOptions{});
  for (auto& ai : ais) models->add(std::move(ai));
  return models;
}

}  // namespace

Service::Service(std::vector<std::shared_ptr<const Ai>> ais, std::filesystem::path data)
    : Service(registry_of(std::move(ais)), std::make_unique<LoopbackAccess>(), ServiceOptions{std::move(data), 0, 2048, {.turn = false, .sources = {}}}) {}

Service::~Service() { stop(); }

void Service::stop() {
  stopping_ = true;
  workers_.finish();
  generators_.finish();
}

void Service::trace_to(const std::string& url, std::function<void(const std::string&)> log) { tracer_ = std::make_unique<Tracer>(url, std::move(log)); }

ModelRegistry::Reloaded Service::reload_now() {
  auto result = models_->reload();
  for (const std::string& name : result.replaced) flywheel_.took(name);
  if (!result.replaced.empty()) subjects_.renew(*models_);
  return result;
}

void Service::reload() {
  workers_.run([this] {
    try {
      reload_now();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "ingot: the AIs could not be opened anew: %s\n", error.what());
    }
  });
}

void Service::trace(const Usage& usage, const HttpRequest& request, const std::string& id) {
  if (!tracer_) return;
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  tracer_->add({usage, request.method, id, std::string(request.header("traceparent")), now - static_cast<int64_t>(usage.total_s * 1e9)});
}

double Service::uptime_s() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

std::string Service::new_id() { return fmt::format("{}{:08x}", session_, answers_++); }

void Service::handle(const std::shared_ptr<HttpExchange>& exchange) {
  const HttpRequest& request = exchange->request();
  const std::string id = new_id();
  const RouteMatch match = match_route(request.method, request.path);
  ApiStyle style = match.route ? match.route->style : ApiStyle::kOpenAi;
  try {
    if (asks_for_websocket(request)) refuse(400, "there is no WebSocket here: streams are server-sent events", "unsupported_protocol");
    if (request.header("content-type").starts_with("multipart/")) refuse(415, "bodies are JSON here, not multipart forms", "unsupported_media_type");
    if (!match.route && match.allowed.empty()) refuse(404, fmt::format("there is no route {}", request.path), "unknown_route");
    if (!match.route) refuse(405, fmt::format("{} takes {}", request.path, match.allowed), "method_not_allowed");
    auto call = std::make_shared<Call>(access_->watched(exchange), *match.route, match.parameter, id);
    call->usage.caller = access_->admit(*match.route, request);
    if (match.route->quick || options_.requests == 0) return run(*call);
    if (stopping_) throw Refusal{503, "the service is shutting down", "shutting_down", "", 5};
    if (!workers_.run([this, call] { run(*call); })) throw Refusal{429, fmt::format("{} requests are under way already", options_.requests), "overloaded", "", 1};
  } catch (const Refusal& refusal) {
    answer_error(*exchange, style, refusal, id, match.allowed);
    Usage usage;
    usage.route = match.route ? std::string(match.route->path) : "none";
    usage.status = refusal.status;
    metrics_.count(usage);
    trace(usage, request, id);
  }
}

void Service::run(Call& call) {
  try {
    call.route().handle(*this, call);
  } catch (const Refusal& refusal) {
    fail(call, refusal);
  } catch (const QueueFull& full) {
    fail(call, {429, full.what(), "overloaded", "", 1});
  } catch (const Error& error) {
    if (error.kind == ErrorKind::input) fail(call, {400, error.what(), "", ""});
    else fail(call, {500, error.what(), "", ""});
  } catch (const std::bad_alloc&) {
    fail(call, {503, "there is no memory for this request now", "no_memory", "", 5});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ingot: request %s on %s failed: %s\n", call.id().c_str(), std::string(call.route().path).c_str(), error.what());
    fail(call, {500, "the answer failed by a fault of this server; its log names the request", "internal", ""});
  }
  call.usage.total_s = call.seconds();
  metrics_.count(call.usage);
  trace(call.usage, call.request(), call.id());
  access_->used(call.usage);
  access_->over(call.usage, call.id(), call.exchange());
}

void Service::fail(Call& call, const Refusal& refusal) {
  call.usage.status = refusal.status;
  if (!call.exchange().begun()) return answer_error(call.exchange(), call.route().style, refusal, call.id(), "", call.ignored());
  // In mid-stream: the status has gone out already, so the stream says what happened and ends.
  call.send_event(call.route().style == ApiStyle::kAnthropic ? "error" : "", error_of(call.route().style, refusal, call.id()));
  call.exchange().finish();
}

}  // namespace ingot
