// What the machine cost, shared out among those who used it, in proportion to the time that it worked for each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/key_store.h"
#include "store/usage_store.h"

namespace ingot {

struct CostLine {
  std::string user, model, ai;  // key's name, "-" without one; name and hash of the AI; empty in sums
  UsageSum sum;
  double share = 0;    // of all slot-seconds, 0 to 1
  double dollars = 0;
};

struct CostReport {
  int64_t from = 0, until = 0;  // seconds since 1970, whole hours
  double price_per_hour = 0, hours = 0, dollars = 0;
  std::string currency;
  UsageSum all;
  std::vector<CostLine> lines, users, ais;  // by user and AI; summed by user; summed by AI

  double per_million_tokens() const;  // 0 without tokens
  std::string json() const;
  std::string csv() const;  // the lines
};

// The service's hours in [from, until) times the price. Where nothing was used the cost stays unshared.
CostReport cost_report(UsageStore& usage, const std::vector<ApiKey>& keys, int64_t from, int64_t until, double price_per_hour, std::string currency);

}  // namespace ingot
