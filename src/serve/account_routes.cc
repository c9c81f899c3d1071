// What people used and what it cost; for those who run the service.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/nearest.h"
#include "serve/call.h"
#include "serve/keyed_access.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

KeyedAccess& accounts(Service& service) {
  auto* access = dynamic_cast<KeyedAccess*>(&service.access());
  if (!access || !access->records()) refuse(409, "nothing is recorded here: start with --data DIR", "not_recorded");
  return *access;
}

// "days=7" of the query.
int64_t days_of(std::string_view query) {
  const size_t at = query.starts_with("days=") ? 0 : query.find("&days=");
  if (at == std::string_view::npos) return 30;
  const std::string text(query.substr(at + (at ? 6 : 5)));
  const int64_t days = std::strtoll(text.c_str(), nullptr, 10);
  if (days < 1 || days > 36500) refuse_field("days", "\"days\" is from 1 to 36500");
  return days;
}

void cost(Service& service, Call& call) {
  const int64_t now = std::time(nullptr);
  const CostReport report = accounts(service).cost(now - days_of(call.request().query) * 86400, now);
  if (call.request().query.find("format=csv") != std::string::npos) return call.reply_text("text/csv; charset=utf-8", report.csv());
  call.reply(Json::parse(report.json()));
}

Json limits_of(const ApiKey& key, KeyedAccess& access, int64_t now) {
  return {{"expires", key.expires}, {"requests_per_minute", key.limits.requests_per_minute}, {"tokens_per_minute", key.limits.tokens_per_minute}, {"tokens_per_day", key.limits.tokens_per_day},
          {"tokens_per_month", key.limits.tokens_per_month}, {"tokens_today", access.tokens_since(key.id, now / 86400 * 86400)}};
}

void keys(Service& service, Call& call) {
  KeyedAccess& access = accounts(service);
  const int64_t now = std::time(nullptr);
  Json data = Json::array();
  for (const ApiKey& key : access.keys()) {
    data.push_back({{"name", key.name}, {"hint", key.hint}, {"state", key.revoked ? "revoked" : key.works(now) ? "works" : "expired"}, {"scopes", key.scopes}, {"priority", key.priority}, {"created", key.created}});
    data.back().update(limits_of(key, access, now));
  }
  call.reply({{"object", "list"}, {"data", data}});
}

std::vector<std::string> scopes_field(const Json& body) {
  const Json* scopes = field(body, "scopes");
  return scopes ? texts_field(body, "scopes", std::size(kScopes)) : std::vector<std::string>();
}

// What is wrong with a key's words is the sender's fault here, not that of a command line.
template <class Work>
void with_key_faults(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.kind != ErrorKind::usage && error.kind != ErrorKind::input) throw;
    refuse(400, error.what());
  }
}

void new_key(Service& service, Call& call) {
  KeyedAccess& access = accounts(service);
  const Json& body = call.body();
  // A limit that is misspelt would make a key without one.
  static const std::vector<std::string> kKnown = {"name", "scopes", "priority", "rate", "quota", "expires"};
  for (const auto& [field, value] : body.items())
    if (std::find(kKnown.begin(), kKnown.end(), field) == kKnown.end()) {
      const std::string near = nearest_name(field, kKnown);
      refuse_field(field.c_str(), fmt::format("\"{}\" is no field of a key{}", field, near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
    }
  with_key_faults([&] {
    ApiKey key;
    key.name = text_field(body, "name");
    key.scopes = scopes_field(body);
    key.priority = static_cast<int>(whole_field(body, "priority", 0, -100, 100));
    if (const std::string rate = text_field(body, "rate"); !rate.empty()) read_rate(rate, &key.limits);
    if (const std::string quota = text_field(body, "quota"); !quota.empty()) read_quota(quota, &key.limits);
    if (const std::string expires = text_field(body, "expires"); !expires.empty()) key.expires = read_expiry(expires, std::time(nullptr));
    call.reply({{"object", "key"}, {"name", key.name}, {"key", access.make_key(key)}}, 201);
  });
}

void revoke_key(Service& service, Call& call) {
  KeyedAccess& access = accounts(service);
  const auto all = access.keys();
  if (std::none_of(all.begin(), all.end(), [&](const ApiKey& key) { return key.name == call.parameter(); }))
    refuse(404, fmt::format("there is no key named \"{}\"", call.parameter().substr(0, 100)), "key_not_found");
  with_key_faults([&] { access.revoke_key(call.parameter()); });
  call.reply({{"object", "key"}, {"name", call.parameter()}, {"state", "revoked"}});
}

// Whom a console or a script is for, so that it offers what the key allows.
void caller(Service& service, Call& call) {
  const Caller& who = call.usage.caller;
  Json answer = {{"object", "caller"}, {"name", who.user}, {"keyed", !who.key.empty()}, {"scopes", who.scopes}};
  auto* access = dynamic_cast<KeyedAccess*>(&service.access());
  answer["requests_kept"] = access && access->request_log();
  if (access && access->records() && !who.key.empty())
    for (const ApiKey& key : access->keys())
      if (std::to_string(key.id) == who.key) answer.update(limits_of(key, *access, std::time(nullptr)));
  call.reply(answer);
}

constexpr std::string_view kNewKey = R"({"type":"object","required":["name"],"properties":{"name":{"type":"string"},"scopes":{"type":"array","items":{"enum":["admin","chat","classify","embed","feedback","infer","read"]}},
  "rate":{"type":"string"},"quota":{"type":"string"},"expires":{"type":"string"},"priority":{"type":"integer","minimum":-100,"maximum":100}}})";

}  // namespace

void add_account_routes(ApiRoutes& routes) {
  routes.push_back({"GET", "/v1/caller", Scope::kAny, "Who asks here: the key's name (without keys the address), scopes, limits and use; not counted against them.", "", caller, true, ApiStyle::kOpenAi, "", false});
  routes.push_back({"GET", "/v1/cost", Scope::kAdmin, "What the machine cost, per user, per AI and per million tokens; ?days=30, ?format=csv.", "", cost});
  routes.push_back({"GET", "/v1/keys", Scope::kAdmin, "The keys' names, scopes, limits and use today; never the keys.", "", keys});
  routes.push_back({"POST", "/v1/keys", Scope::kAdmin, "Makes a key and says it, this once; rate as 60/min, quota as 1000000/day, expires as 90d.", kNewKey, new_key});
  routes.push_back({"DELETE", "/v1/keys/{name}", Scope::kAdmin, "Revokes a key.", "", revoke_key});
}

}  // namespace ingot
