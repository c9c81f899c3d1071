#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/number_range.h"
#include "core/data_folder.h"
#include "core/error.h"
#include "store/key_store.h"

namespace ingot {
namespace {

using nlohmann::json;

struct KeyOptions {
  std::string data, name, expires, grace = "1h";
  std::vector<std::string> scopes, rates, quotas;
  int priority = 0;
  bool json = false;
};

std::string day(int64_t time) { return time ? fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<time_t>(time))) : "never"; }

std::string limits(const KeyLimits& l) {
  std::string out;
  const auto add = [&](int64_t value, const char* unit) {
    if (value) out += fmt::format("{}{}{}", out.empty() ? "" : ", ", value, unit);
  };
  add(l.requests_per_minute, "/min");
  add(l.tokens_per_minute, " tokens/min");
  add(l.tokens_per_day, " tokens/day");
  add(l.tokens_per_month, " tokens/month");
  return out.empty() ? "none" : out;
}

void print_secret(const KeyOptions& o, const std::string& secret) {
  if (o.json) return (void)std::puts(json{{"name", o.name}, {"key", secret}}.dump().c_str());
  std::puts(secret.c_str());
  std::fprintf(stderr, "this is the only time that the key of \"%s\" is shown\n", o.name.c_str());
}

void list(const KeyOptions& o) {
  const auto folder = data_folder(o.data);
  std::vector<ApiKey> keys;
  std::error_code failed;
  if (std::filesystem::exists(Database::file_in(folder), failed)) {
    Database database(folder);
    keys = KeyStore(database).list();
  }
  const int64_t now = std::time(nullptr);
  const auto state = [&](const ApiKey& key) { return key.revoked ? "revoked" : key.works(now) ? "works" : "expired"; };
  if (o.json) {
    json rows = json::array();
    for (const ApiKey& key : keys)
      rows.push_back({{"name", key.name}, {"hint", key.hint}, {"state", state(key)}, {"scopes", key.scopes}, {"priority", key.priority}, {"created", key.created}, {"expires", key.expires},
                      {"requests_per_minute", key.limits.requests_per_minute}, {"tokens_per_minute", key.limits.tokens_per_minute}, {"tokens_per_day", key.limits.tokens_per_day},
                      {"tokens_per_month", key.limits.tokens_per_month}});
    return (void)std::puts(rows.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  }
  if (keys.empty()) return (void)fmt::print("there is no key in {}\n", folder.string());
  fmt::print("{:<20} {:<12} {:<8} {:<24} {:<11} {:<11} {}\n", "name", "key", "state", "scopes", "made", "expires", "limits");
  for (const ApiKey& key : keys) {
    std::string scopes;
    for (const std::string& scope : key.scopes) scopes += (scopes.empty() ? "" : " ") + scope;
    fmt::print("{:<20} {:<12} {:<8} {:<24} {:<11} {:<11} {}\n", key.name, key.hint + "...", state(key), scopes, day(key.created), day(key.expires), limits(key.limits));
  }
}

}  // namespace

void add_key(CLI::App& app) {
  auto o = std::make_shared<KeyOptions>();
  CLI::App* command = app.add_subcommand("key", "Make, list, rotate and revoke the keys that people call a service with");
  command->require_subcommand(1);
  const auto common = [&](CLI::App* sub, bool named) {
    if (named) sub->add_option("NAME", o->name, "whose key it is")->required();
    sub->add_option("--data", o->data, "data folder; else INGOT_DATA, else $XDG_DATA_HOME/ingot");
    sub->add_flag("--json", o->json, "print JSON");
    return sub;
  };
  CLI::App* make = common(command->add_subcommand("new", "Make a key and print it, this once"), true);
  make->add_option("--scope", o->scopes, "what it may do: infer (chat, embed, classify), read, feedback, admin; feedback, infer and read if none is named")->delimiter(',');
  make->add_option("--rate", o->rates, "60/min requests, 20000tokens/min; several allowed");
  make->add_option("--quota", o->quotas, "tokens: 1000000/day, 20000000/month; several allowed");
  make->add_option("--priority", o->priority, "higher goes first")->check(whole(-100, 100));
  make->add_option("--expires", o->expires, "12h, 90d, 4w, or a day as 2027-01-31");
  make->callback([o] {
    ApiKey key;
    key.name = o->name;
    key.scopes = o->scopes;
    key.priority = o->priority;
    for (const std::string& rate : o->rates) read_rate(rate, &key.limits);
    for (const std::string& quota : o->quotas) read_quota(quota, &key.limits);
    if (!o->expires.empty()) key.expires = read_expiry(o->expires, std::time(nullptr));
    Database database(data_folder(o->data));
    print_secret(*o, KeyStore(database).create(std::move(key)));
  });
  common(command->add_subcommand("list", "Names, scopes and limits; never the keys"), false)->callback([o] { list(*o); });
  common(command->add_subcommand("revoke", "From now on it opens nothing; a running service follows within a second"), true)->callback([o] {
    Database database(data_folder(o->data));
    KeyStore(database).revoke(o->name);
    if (o->json)
      std::puts(json{{"revoked", o->name}}.dump().c_str());
    else
      fmt::print("revoked {}\n", o->name);
  });
  CLI::App* rotate = common(command->add_subcommand("rotate", "A new key under the same name and limits"), true);
  rotate->add_option("--grace", o->grace, "how long the old one still works; 0: not at all");
  rotate->callback([o] {
    const int64_t now = std::time(nullptr);
    Database database(data_folder(o->data));
    print_secret(*o, KeyStore(database).rotate(o->name, o->grace == "0" ? 0 : read_expiry(o->grace, now) - now));
  });
}

}  // namespace ingot
