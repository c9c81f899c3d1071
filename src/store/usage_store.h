// What requests took, per hour, key and AI; and for how long the service was up, so that its cost can be shared out.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "store/database.h"

namespace ingot {

struct UsageRecord {
  int64_t time = 0;       // seconds since 1970
  int64_t key_id = 0;     // 0: no key was asked for
  std::string model, ai;  // name, hash
  bool failed = false;
  int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  double slot_seconds = 0;
};

struct UsageSum {
  int64_t requests = 0, failed = 0, prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  double slot_seconds = 0;
  int64_t tokens() const { return prompt_tokens + generated_tokens; }
  void add(const UsageSum& other);
};

struct UsageRow {
  int64_t key_id = 0;
  std::string model, ai;
  UsageSum sum;
};

// Adds records up in memory and writes them about once a second in one transaction; the destructor writes the rest. Any thread.
class UsageStore {
 public:
  // up: this process is the service, whose time of running is to be counted.
  UsageStore(Database& database, bool up);
  ~UsageStore();

  void add(const UsageRecord& record);
  void flush();  // throws Error (environment)

  // Tokens of a key from a time on (rounded down to its hour), those not written yet included.
  int64_t tokens_since(int64_t key_id, int64_t time);
  // By key, model and AI over [from, until), hours. Written ones only: flush() first.
  std::vector<UsageRow> rows(int64_t from, int64_t until);
  double uptime_seconds(int64_t from, int64_t until);

 private:
  struct Slot {
    int64_t hour, key_id;
    std::string model, ai;
    auto operator<=>(const Slot&) const = default;
  };
  void write_now();  // REQUIRES: writing_ is held
  Database& database_;
  bool up_;
  std::mutex mutex_;  // guards pending_ and stop_
  std::map<Slot, UsageSum> pending_;
  bool stop_ = false;
  std::mutex writing_;
  std::chrono::steady_clock::time_point counted_;  // uptime up to here is written
  std::condition_variable wake_;
  std::thread writer_;
};

}  // namespace ingot
