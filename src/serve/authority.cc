#include "serve/authority.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "core/error.h"
#include "core/sha256.h"

namespace ingot {
namespace {

constexpr size_t kMostAddresses = 10000;

int64_t wall_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

struct Date {
  int64_t day;
  int month;
  int64_t month_begin;  // seconds since 1970
  int64_t next_month;
};

Date date_of(int64_t seconds) {
  const time_t time = static_cast<time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::tm begin{};
  begin.tm_year = parts.tm_year;
  begin.tm_mon = parts.tm_mon;
  begin.tm_mday = 1;
  std::tm next = begin;
  ++next.tm_mon;
  return {seconds / 86400, parts.tm_year * 12 + parts.tm_mon, timegm(&begin), timegm(&next)};
}

bool has_scope(const ApiKey& key, std::span<const std::string_view> wanted) {
  for (const std::string& scope : key.scopes)
    if (scope == "admin" || std::find(wanted.begin(), wanted.end(), scope) != wanted.end()) return true;
  return false;
}

std::string joined(std::span<const std::string_view> words) {
  std::string out;
  for (std::string_view word : words) out += (out.empty() ? "" : " or ") + std::string(word);
  return out;
}

int whole_seconds(double milliseconds) { return std::max(1, static_cast<int>(std::ceil(milliseconds / 1000))); }

}  // namespace

Authority::Authority(KeyStore* keys, UsageStore* usage, Database* database, AuthorityOptions options)
    : keys_(keys), usage_(usage), database_(database), options_(std::move(options)) {
  if (!options_.now) options_.now = wall_ms;
  std::lock_guard lock(mutex_);
  refresh(options_.now());
}

void Authority::refresh(int64_t now) {
  if (!keys_ || (looked_ >= 0 && now - looked_ < 1000)) return;
  looked_ = now;
  try {
    int64_t version;
    {
      const auto lock = database_->lock();
      version = database_->changes_elsewhere();
    }
    if (version == version_) return;
    known_ = keys_->list();
    version_ = version;
  } catch (const Error&) {
    // A disk that fails for a moment changes nobody's rights.
  }
}

void Authority::keys_changed() {
  std::lock_guard lock(mutex_);
  looked_ = version_ = -1;
}

bool Authority::keys_required() {
  std::lock_guard lock(mutex_);
  refresh(options_.now());
  return !options_.loopback || !options_.master_key.empty() || !known_.empty();
}

// Every key is compared, whole, so that the time tells nothing.
const ApiKey* Authority::find(std::string_view credential, int64_t now) const {
  if (!keys_ || !looks_like_key(credential)) return nullptr;
  const KeyHash hash = keys_->hash(credential);
  const ApiKey* found = nullptr;
  for (const ApiKey& key : known_) {
    const bool current = same_hash(key.hash, hash);
    const bool previous = key.previous && same_hash(*key.previous, hash) && now / 1000 < key.previous_until;
    if (current || previous) found = &key;
  }
  return found;
}

Decision Authority::refused_key(std::string_view peer, int64_t now, std::string message) {
  auto found = failures_.find(peer);
  if (found == failures_.end()) {
    if (failures_.size() >= kMostAddresses) failures_.clear();
    found = failures_.emplace(std::string(peer), Bucket{static_cast<double>(options_.failures_per_minute), now}).first;
  }
  Bucket& bucket = found->second;
  const double rate = options_.failures_per_minute / 60000.0;
  bucket.level = std::min<double>(options_.failures_per_minute, bucket.level + static_cast<double>(now - bucket.at) * rate);
  bucket.at = now;
  if (bucket.level < 1) return {429, "rate_limit_exceeded", "too many wrong keys from this address", whole_seconds((1 - bucket.level) / rate), {}};
  bucket.level -= 1;
  return {401, "invalid_api_key", std::move(message), 0, {}};
}

namespace {

template <class Bucket>
void fill_bucket(Bucket& bucket, int64_t per_minute, int64_t now) {
  if (bucket.at == 0) bucket.level = static_cast<double>(per_minute);
  bucket.level = std::min(static_cast<double>(per_minute), bucket.level + static_cast<double>(now - bucket.at) * static_cast<double>(per_minute) / 60000);
  bucket.at = now;
}

}  // namespace

Decision Authority::tokens_left(Account& account, int64_t id, int64_t tokens, int64_t now) {
  const KeyLimits& limits = account.limits;
  if (limits.tokens_per_day || limits.tokens_per_month) {
    const Date date = date_of(now / 1000);
    if (account.day != date.day) {
      account.day = date.day;
      account.day_tokens = usage_ ? usage_->tokens_since(id, date.day * 86400) : 0;
    }
    if (account.month != date.month) {
      account.month = date.month;
      account.month_tokens = usage_ ? usage_->tokens_since(id, date.month_begin) : 0;
    }
    const auto over = [&](int64_t used, int64_t limit, const char* period, int64_t until) {
      return Decision{429, "insufficient_quota", fmt::format("the key \"{}\" has used {} of its {} tokens a {}", account.name, used, limit, period), static_cast<int>(std::max<int64_t>(1, until - now / 1000)), {}};
    };
    if (limits.tokens_per_day && account.day_tokens + tokens > limits.tokens_per_day) return over(account.day_tokens, limits.tokens_per_day, "day", (date.day + 1) * 86400);
    if (limits.tokens_per_month && account.month_tokens + tokens > limits.tokens_per_month) return over(account.month_tokens, limits.tokens_per_month, "month", date.next_month);
  }
  if (limits.tokens_per_minute) {
    fill_bucket(account.tokens, limits.tokens_per_minute, now);
    if (account.tokens.level < static_cast<double>(tokens)) {
      const auto most = static_cast<double>(std::min(tokens, limits.tokens_per_minute));
      const double wait = (most - account.tokens.level) * 60000 / static_cast<double>(limits.tokens_per_minute);
      const std::string asked = tokens > 1 ? fmt::format("; {} are asked for", tokens) : "";
      return {429, "rate_limit_exceeded", fmt::format("the key \"{}\" may use {} tokens a minute{}", account.name, limits.tokens_per_minute, asked), whole_seconds(wait), {}};
    }
  }
  return {};
}

Decision Authority::within_limits(const ApiKey& key, int64_t now) {
  Account& account = accounts_[key.id];
  account.limits = key.limits;
  account.name = key.name;
  const KeyLimits& limits = key.limits;
  const bool limited = limits.tokens_per_minute || limits.tokens_per_day || limits.tokens_per_month;
  if (limited)
    if (!tokens_left(account, key.id, 1, now).allowed()) return tokens_left(account, key.id, account.last_asked, now);  // a wait after which it will fit
  if (limits.requests_per_minute) {
    fill_bucket(account.requests, limits.requests_per_minute, now);
    if (account.requests.level < 1) {
      const double wait = (1 - account.requests.level) * 60000 / static_cast<double>(limits.requests_per_minute);
      return {429, "rate_limit_exceeded", fmt::format("the key \"{}\" may send {} requests a minute", key.name, limits.requests_per_minute), whole_seconds(wait), {}};
    }
    account.requests.level -= 1;
  }
  return {200, "", "", 0, {key.id, key.name, key.priority, limited, key.scopes}};
}

Decision Authority::take(const Grant& grant, int64_t tokens) {
  if (!grant.limited) return {};
  std::lock_guard lock(mutex_);
  const auto found = accounts_.find(grant.key_id);
  if (found == accounts_.end()) return {};
  if (tokens > 1) found->second.last_asked = tokens;
  Decision left = tokens_left(found->second, grant.key_id, tokens, options_.now());
  if (!left.allowed()) return left;
  found->second.tokens.level -= static_cast<double>(tokens);
  found->second.day_tokens += tokens;
  found->second.month_tokens += tokens;
  return left;
}

Decision Authority::authorize(std::string_view credential, std::string_view peer, std::span<const std::string_view> scopes, bool counted) {
  if (scopes.empty()) return {};
  const int64_t now = options_.now();
  std::lock_guard lock(mutex_);
  refresh(now);
  const bool required = !options_.loopback || !options_.master_key.empty() || !known_.empty();
  if (!required) return {};
  if (credential.empty()) return {401, "missing_api_key", "this service asks for a key: send it as \"Authorization: Bearer ...\"", 0, {}};
  if (!options_.master_key.empty()) {
    // Hashed first: the comparison then has one length.
    const Digest given = sha256(credential), wanted = sha256(options_.master_key);
    if (CRYPTO_memcmp(given.data(), wanted.data(), given.size()) == 0) return {200, "", "", 0, {0, "INGOT_API_KEY", 0, false, {"admin"}}};
  }
  const ApiKey* key = find(credential, now);
  if (!key && keys_ && looks_like_key(credential)) {  // it may have been made within this second
    looked_ = -1;
    refresh(now);
    key = find(credential, now);
  }
  if (!key) return refused_key(peer, now, "the key is not one of this service");
  if (key->revoked) return refused_key(peer, now, "the key was revoked");
  if (!key->works(now / 1000)) return refused_key(peer, now, "the key has expired");
  if (!has_scope(*key, scopes)) return {403, "insufficient_permissions", fmt::format("the key \"{}\" lacks the scope {}", key->name, joined(scopes)), 0, {}};
  return counted ? within_limits(*key, now) : Decision{200, "", "", 0, {key->id, key->name, key->priority, false, key->scopes}};
}

void Authority::spent(const Grant& grant, int64_t tokens) {
  if (!grant.key_id) return;
  std::lock_guard lock(mutex_);
  const auto found = accounts_.find(grant.key_id);
  if (found == accounts_.end()) return;
  found->second.tokens.level -= static_cast<double>(tokens);
  found->second.day_tokens += tokens;
  found->second.month_tokens += tokens;
}

}  // namespace ingot
