// API keys: made, listed, rotated, revoked. Only a keyed hash of each is kept; the hash's own key lies beside the records.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"

namespace ingot {

// 0: no limit.
struct KeyLimits {
  int64_t requests_per_minute = 0, tokens_per_minute = 0;
  int64_t tokens_per_day = 0, tokens_per_month = 0;  // UTC days and months
  bool operator==(const KeyLimits&) const = default;
};

// "60", "60/min" and "20000tokens/min"; "1000000", "1000000/day" and "20000000/month". Several, separated by commas.
// Throws Error (usage) naming the option.
void read_rate(std::string_view text, KeyLimits* limits);
void read_quota(std::string_view text, KeyLimits* limits);
// "90d", "12h", "4w" from `now`, or a day "2027-01-31" (its end, UTC); seconds since 1970. Throws Error (usage).
int64_t read_expiry(std::string_view text, int64_t now);

// What a key may allow, as people write it. "infer" is chat, embed and classify; "admin" is everything.
inline constexpr std::string_view kScopes[] = {"admin", "chat", "classify", "embed", "feedback", "infer", "read"};

using KeyHash = std::array<unsigned char, 32>;

struct ApiKey {
  int64_t id = 0;
  std::string name, hint;            // hint: "ingot_ab12", not enough to guess the rest
  std::vector<std::string> scopes;
  KeyLimits limits;
  int priority = 0;                  // higher goes first
  int64_t created = 0, expires = 0, revoked = 0;  // seconds since 1970; 0: never
  KeyHash hash{};
  std::optional<KeyHash> previous;   // of before a rotation
  int64_t previous_until = 0;

  bool works(int64_t now) const { return !revoked && (!expires || now < expires); }
};

class KeyStore {
 public:
  explicit KeyStore(Database& database);

  // Returns the key itself, this once. Throws Error (usage): the name is taken, a scope is unknown.
  std::string create(ApiKey key);
  // A new key under the same name; the old one works for `grace` seconds more. Throws Error (input): no such key.
  std::string rotate(const std::string& name, int64_t grace);
  void revoke(const std::string& name);  // throws Error (input)
  std::vector<ApiKey> list() const;      // revoked ones too, by name

  KeyHash hash(std::string_view key) const;

 private:
  Database& database_;
  std::array<unsigned char, 32> secret_{};
};

// Whether it has the shape of a key: "ingot_" and 43 characters of base64url.
bool looks_like_key(std::string_view text);
// In time that does not depend on where they differ.
bool same_hash(const KeyHash& a, const KeyHash& b);
// Keyed BLAKE2b-256.
KeyHash keyed_hash(const std::array<unsigned char, 32>& secret, std::string_view text);

}  // namespace ingot
