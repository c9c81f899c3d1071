#include "serve/keyed_access.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "guard/private_data.h"
#include "net/http_server.h"
#include "serve/api_route.h"
#include "serve/refusal.h"

namespace ingot {
namespace {

using nlohmann::json;

constexpr size_t kLongestKept = 1 << 20;  // bytes of a reply

int64_t key_of(const Caller& caller) { return caller.key.empty() ? 0 : std::strtoll(caller.key.c_str(), nullptr, 10); }

// Keeps what goes out beside sending it.
class RecordingExchange : public HttpExchange {
 public:
  explicit RecordingExchange(std::shared_ptr<HttpExchange> inner) : inner_(std::move(inner)) {}
  const HttpRequest& request() const override { return inner_->request(); }
  void send(int status, std::string_view type, std::string_view body, const HttpHeaders& extra) override {
    keep(body);
    inner_->send(status, type, body, extra);
  }
  void begin(int status, std::string_view type, const HttpHeaders& extra) override { inner_->begin(status, type, extra); }
  bool write(std::string_view bytes) override {
    keep(bytes);
    return inner_->write(bytes);
  }
  void finish() override { inner_->finish(); }
  bool gone() const override { return inner_->gone(); }
  bool begun() const override { return inner_->begun(); }
  const std::string& kept() const { return kept_; }

 private:
  void keep(std::string_view bytes) { kept_ += bytes.substr(0, kLongestKept - std::min(kLongestKept, kept_.size())); }
  std::shared_ptr<HttpExchange> inner_;
  std::string kept_;
};

// "user:password" in base64 -> password; empty if it is none.
std::string password_of(std::string_view encoded) {
  std::string out(encoded.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(encoded.data()), static_cast<int>(encoded.size()));
  if (size < 0) return {};
  out.resize(static_cast<size_t>(size));
  const size_t colon = out.find(':');
  if (colon == std::string::npos) return {};
  out.erase(0, colon + 1);
  while (out.ends_with('\0')) out.pop_back();  // what the padding stood for
  return out;
}

// Every text below, in order: of messages, parts and choices alike.
void gather(const json& value, std::string& out) {
  if (value.is_string()) {
    if (!out.empty() && out.back() != '\n') out += '\n';
    out += value.get<std::string>();
  } else if (value.is_array()) {
    for (const json& item : value) gather(item, out);
  } else if (value.is_object()) {
    for (const char* key : {"system", "instructions", "prompt", "input", "messages", "message", "content", "text", "query", "documents", "arguments", "output", "choices", "delta", "label"})
      if (const auto found = value.find(key); found != value.end()) gather(*found, out);
  }
}

}  // namespace

std::vector<std::string_view> scopes_of(const ApiRoute& route) {
  if (route.scope == Scope::kLive) return {};
  if (route.scope == Scope::kAny) return {std::begin(kScopes), std::end(kScopes)};
  std::vector<std::string_view> out = {scope_name(route.scope)};
  if (route.scope != Scope::kInfer) return out;
  const auto about = [&](std::string_view word) { return route.path.find(word) != std::string_view::npos; };
  if (about("embed") || about("rerank")) {
    out.push_back("embed");
  } else if (about("classify") || about("score") || about("guard") || about("route")) {
    out.push_back("classify");
  } else {
    out.push_back("chat");
  }
  return out;
}

std::string words_of_request(std::string_view body, std::string* user) {
  const json in = json::parse(body, nullptr, false);
  if (!in.is_object()) return {};
  const auto text = [](const json& object, const char* key) { return object.is_object() && object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string(); };
  *user = text(in, "user");
  if (user->empty() && in.contains("metadata")) *user = text(in["metadata"], "user_id");
  std::string out;
  gather(in, out);
  return out;
}

std::string words_of_reply(std::string_view body) {
  std::string out;
  if (!body.starts_with("data:") && !body.starts_with("event:")) {
    const json in = json::parse(body, nullptr, false);
    if (in.is_object()) gather(in.contains("data") ? in["data"] : in, out);
    return out;
  }
  // Server-sent events: the pieces follow each other without a break.
  for (size_t at = 0; at < body.size();) {
    const size_t end = std::min(body.find('\n', at), body.size());
    std::string_view line = body.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with("data:")) continue;
    const json event = json::parse(line.substr(5), nullptr, false);
    if (!event.is_object() || event.value("type", "").ends_with(".done") || event.value("type", "").ends_with(".completed")) continue;
    std::string piece;
    gather(event, piece);
    out += piece;
  }
  return out;
}

Credential credential_of(const HttpRequest& request) {
  std::string_view header = request.header("authorization");
  const auto after = [&](std::string_view scheme) {  // schemes are written in any case
    if (header.size() <= scheme.size() + 1 || header[scheme.size()] != ' ') return false;
    for (size_t i = 0; i < scheme.size(); ++i)
      if ((header[i] | 32) != scheme[i]) return false;
    header.remove_prefix(scheme.size() + 1);
    while (header.starts_with(' ')) header.remove_prefix(1);
    return true;
  };
  if (after("bearer")) return {std::string(header), false};
  if (after("basic")) return {password_of(header), true};
  return {std::string(request.header("x-api-key")), false};
}

KeyedAccess::KeyedAccess(const std::filesystem::path& data, bool loopback, std::vector<std::string> hosts, const Site& site)
    : LoopbackAccess(std::move(hosts)), site_(site), loopback_(loopback) {
  if (!data.empty()) {
    database_ = std::make_unique<Database>(data);
    keys_ = std::make_unique<KeyStore>(*database_);
    usage_ = std::make_unique<UsageStore>(*database_, true);
    if (site_.log_requests) {
      log_ = std::make_unique<RequestLog>(*database_, site_.log_days);
      log_->drop_old(std::time(nullptr));
    }
  } else if (site_.log_requests) {
    throw Error(ErrorKind::usage, "requests are to be logged, but there is no data folder", "site.toml", "add data = \"...\", or --data");
  }
  AuthorityOptions options;
  options.loopback = loopback;
  if (const char* master = std::getenv("INGOT_API_KEY")) options.master_key = master;
  if (!loopback && options.master_key.empty()) {
    bool any = false;
    for (const ApiKey& key : keys()) any |= key.works(std::time(nullptr));
    if (!any) throw Error(ErrorKind::usage, "off loopback every route asks for a key, and there is none", "serve", "make one with: ingot key new NAME --data DIR, or set INGOT_API_KEY");
  }
  authority_ = std::make_unique<Authority>(keys_.get(), usage_.get(), database_.get(), options);
}

KeyedAccess::~KeyedAccess() = default;

std::vector<ApiKey> KeyedAccess::keys() const { return keys_ ? keys_->list() : std::vector<ApiKey>(); }

std::string KeyedAccess::make_key(ApiKey key) {
  std::string made = keys_->create(std::move(key));
  authority_->keys_changed();
  return made;
}

void KeyedAccess::revoke_key(const std::string& name) {
  keys_->revoke(name);
  authority_->keys_changed();
}

Caller KeyedAccess::admit(const ApiRoute& route, const HttpRequest& request) {
  if (loopback_) LoopbackAccess::admit(route, request);  // web pages of others get no further, key or not
  const Credential credential = credential_of(request);
  if (credential.ambient) only_own_pages(request);
  const Decision decision = authority_->authorize(credential.key, request.peer, scopes_of(route), route.counted);
  if (!decision.allowed()) throw Refusal{decision.status, decision.message, decision.code, "", decision.retry_after_s};
  const Grant& grant = decision.grant;
  return {grant.key_id ? std::to_string(grant.key_id) : "", grant.key_name.empty() ? request.peer : grant.key_name, grant.priority, grant.limited, grant.scopes};
}

std::optional<Refusal> KeyedAccess::take(const Caller& caller, int64_t tokens) {
  if (!caller.limited) return std::nullopt;
  const Decision decision = authority_->take({.key_id = key_of(caller), .limited = true}, tokens);
  if (decision.allowed()) return std::nullopt;
  return Refusal{decision.status, decision.message, decision.code, "", decision.retry_after_s};
}

void KeyedAccess::used(const Usage& usage) {
  if (usage.model.empty()) return;  // look-ups cost nothing
  const int64_t key = key_of(usage.caller);
  authority_->spent({key, usage.caller.user, 0, usage.caller.limited}, usage.prompt_tokens + usage.generated_tokens - usage.taken_tokens);
  if (usage_) usage_->add({std::time(nullptr), key, usage.model, usage.ai, usage.status >= 400, usage.prompt_tokens, usage.cached_tokens, usage.generated_tokens, std::max(0.0, usage.total_s - usage.queue_s)});
}

std::shared_ptr<HttpExchange> KeyedAccess::watched(std::shared_ptr<HttpExchange> exchange) {
  if (!log_) return exchange;
  return std::make_shared<RecordingExchange>(std::move(exchange));
}

void KeyedAccess::over(const Usage& usage, const std::string& id, const HttpExchange& exchange) {
  const auto* recorded = dynamic_cast<const RecordingExchange*>(&exchange);
  if (!log_ || !recorded || usage.model.empty()) return;
  const auto kept = [&](std::string text) { return site_.log_redact ? mask_private_data(text) : text; };
  try {
    LoggedRequest entry;
    entry.time = std::time(nullptr);
    entry.answer_id = id;
    entry.key_id = key_of(usage.caller);
    entry.question = kept(words_of_request(recorded->request().body, &entry.user));
    entry.reply = kept(words_of_reply(recorded->kept()));
    if (entry.user.empty()) entry.user = usage.caller.user;
    entry.route = usage.route;
    entry.model = usage.model;
    entry.ai = usage.ai;
    entry.status = usage.status;
    entry.prompt_tokens = usage.prompt_tokens;
    entry.generated_tokens = usage.generated_tokens;
    log_->add(entry);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ingot: request %s could not be logged: %s\n", id.c_str(), error.what());
  }
}

CostReport KeyedAccess::cost(int64_t from, int64_t until) {
  usage_->flush();
  return cost_report(*usage_, keys(), from, until, site_.price_per_hour, site_.currency);
}

}  // namespace ingot
