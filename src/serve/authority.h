// Who may call, how much, and until when: the keys of the data folder and INGOT_API_KEY, their scopes, rates and quotas.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/key_store.h"
#include "store/usage_store.h"

namespace ingot {

// Whom a request is served for.
struct Grant {
  int64_t key_id = 0;    // 0: no key was asked for, or INGOT_API_KEY
  std::string key_name;  // empty: none; "INGOT_API_KEY"
  int priority = 0;
  bool limited = false;  // by tokens
  std::vector<std::string> scopes = {"admin"};  // of the key; everything where none was asked for
};

struct Decision {
  int status = 200;  // 200, 401, 403 or 429
  std::string code;  // OpenAI's: invalid_api_key, insufficient_permissions, rate_limit_exceeded, insufficient_quota
  std::string message;
  int retry_after_s = 0;  // of a 429
  Grant grant;            // of a 200
  bool allowed() const { return status == 200; }
};

struct AuthorityOptions {
  bool loopback = true;                        // off loopback a key is needed even if there is none: nobody gets in
  std::string master_key = {};                      // INGOT_API_KEY; may everything; empty: none
  int failures_per_minute = 20;                // of one address, then 429 without a look at the key
  std::function<int64_t()> now = {};                // milliseconds since 1970; empty: the clock
};

class Authority {
 public:
  // keys, usage: may both be null (no data folder). They must outlive this.
  Authority(KeyStore* keys, UsageStore* usage, Database* database, AuthorityOptions options);

  // Whether a request without a key is refused. Looks at the records at most once a second.
  bool keys_required();
  void keys_changed();  // by this process: they are read again at once

  // credential: what stands behind "Bearer", may be empty. scopes: any one of them is enough; none: nobody is asked for a key
  // (liveness). counted: against the key's limits. Any thread.
  Decision authorize(std::string_view credential, std::string_view peer, std::span<const std::string_view> scopes, bool counted = true);

  // Takes tokens from the key's rates and quotas if they fit, else refuses (429) and takes none. Any thread.
  Decision take(const Grant& grant, int64_t tokens);
  // What a request took that could not be told before it was over: the request that passes a limit so is served whole. Any thread.
  void spent(const Grant& grant, int64_t tokens);

 private:
  struct Bucket {  // tokens flow in at a steady rate up to a minute's worth; may fall below zero
    double level = 0;
    int64_t at = 0;  // milliseconds
  };
  struct Account {
    Bucket requests, tokens;
    int64_t day = -1, day_tokens = 0;      // days since 1970
    int month = -1;                        // since 1970
    int64_t month_tokens = 0;
    int64_t last_asked = 1;                // tokens that the key's newest request wanted at once
    KeyLimits limits;
    std::string name;
  };
  void refresh(int64_t now);  // REQUIRES: mutex_ is held
  const ApiKey* find(std::string_view credential, int64_t now) const;
  Decision within_limits(const ApiKey& key, int64_t now);
  // Whether `tokens` more fit.
  Decision tokens_left(Account& account, int64_t id, int64_t tokens, int64_t now);
  Decision refused_key(std::string_view peer, int64_t now, std::string message);

  KeyStore* keys_;
  UsageStore* usage_;
  Database* database_;
  AuthorityOptions options_;
  std::mutex mutex_;  // guards all below
  std::vector<ApiKey> known_;
  int64_t looked_ = -1, version_ = -1;
  std::unordered_map<int64_t, Account> accounts_;
  std::map<std::string, Bucket, std::less<>> failures_;  // by address
};

}  // namespace ingot
