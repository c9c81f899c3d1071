// Access by keys: of the data folder and INGOT_API_KEY; and the record of what each used.
#pragma once

#include <memory>

#include "serve/access.h"
#include "serve/authority.h"
#include "serve/cost_report.h"
#include "serve/site.h"
#include "store/request_log.h"

namespace ingot {

class KeyedAccess : public LoopbackAccess {
 public:
  // data: the folder of keys and usage; empty: neither is kept, and only INGOT_API_KEY is known.
  // Throws Error (usage) off loopback without any key: nobody could ask anything.
  KeyedAccess(const std::filesystem::path& data, bool loopback, std::vector<std::string> hosts, const Site& site);
  ~KeyedAccess() override;

  Caller admit(const ApiRoute& route, const HttpRequest& request) override;
  std::optional<Refusal> take(const Caller& caller, int64_t tokens) override;
  void used(const Usage& usage) override;
  std::shared_ptr<HttpExchange> watched(std::shared_ptr<HttpExchange> exchange) override;
  void over(const Usage& usage, const std::string& id, const HttpExchange& exchange) override;

  bool records() const { return usage_ != nullptr; }
  CostReport cost(int64_t from, int64_t until);  // REQUIRES: records()
  std::vector<ApiKey> keys() const;
  std::string make_key(ApiKey key);          // as KeyStore::create. REQUIRES: records()
  void revoke_key(const std::string& name);  // as KeyStore::revoke. REQUIRES: records()
  int64_t tokens_since(int64_t key_id, int64_t time) { return usage_->tokens_since(key_id, time); }  // REQUIRES: records()
  RequestLog* request_log() { return log_.get(); }  // null: none is kept

 private:
  Site site_;
  bool loopback_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<UsageStore> usage_;
  std::unique_ptr<RequestLog> log_;
  std::unique_ptr<Authority> authority_;
};

// The words of a key that open a route: its scope, and of what answers questions also "chat", "embed" or "classify".
std::vector<std::string_view> scopes_of(const ApiRoute& route);

// What was asked and answered, as a log keeps it: of the bodies of every API here, streamed or not, the words alone.
std::string words_of_request(std::string_view body, std::string* user);
std::string words_of_reply(std::string_view body);

struct Credential {
  std::string key;       // empty: none came
  bool ambient = false;  // a browser sends it by itself, whoever made the page that asks
};
// "Bearer X" of Authorization, the password of "Basic X" (what browsers send once they were asked), or Anthropic's x-api-key.
Credential credential_of(const HttpRequest& request);

}  // namespace ingot
