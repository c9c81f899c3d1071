#include "store/usage_store.h"

#include <ctime>

#include "core/error.h"

namespace ingot {

void UsageSum::add(const UsageSum& other) {
  requests += other.requests;
  failed += other.failed;
  prompt_tokens += other.prompt_tokens;
  cached_tokens += other.cached_tokens;
  generated_tokens += other.generated_tokens;
  slot_seconds += other.slot_seconds;
}

UsageStore::UsageStore(Database& database, bool up) : database_(database), up_(up), counted_(std::chrono::steady_clock::now()) {
  writer_ = std::thread([this] {
    for (std::unique_lock lock(mutex_); !stop_;) {
      wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stop_; });
      if (stop_ || (pending_.empty() && !up_)) continue;
      lock.unlock();
      try {
        flush();
      } catch (const Error&) {
        // Kept in memory; the next second tries again.
      }
      lock.lock();
    }
  });
}

UsageStore::~UsageStore() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  writer_.join();
  try {
    flush();
  } catch (const Error&) {
    // The disk is full or gone: nothing can be done here any more.
  }
}

void UsageStore::add(const UsageRecord& record) {
  std::lock_guard lock(mutex_);
  pending_[{record.time / 3600, record.key_id, record.model, record.ai}].add(
      {1, record.failed, record.prompt_tokens, record.cached_tokens, record.generated_tokens, record.slot_seconds});
}

void UsageStore::flush() {
  std::lock_guard writing(writing_);
  const auto now = std::chrono::steady_clock::now();
  const double seconds = up_ ? std::chrono::duration<double>(now - counted_).count() : 0;
  std::map<Slot, UsageSum> taken;
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    taken.swap(pending_);
    last = stop_;
  }
  // An idle service writes its time of running every ten seconds, not every second.
  if (taken.empty() && (seconds == 0 || (seconds < 10 && !last))) return;
  try {
    const auto lock = database_.lock();
    Transaction whole(database_);
    Statement put = database_.prepare(
        "INSERT INTO usage VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET requests=requests+excluded.requests, failed=failed+excluded.failed, "
        "prompt_tokens=prompt_tokens+excluded.prompt_tokens, cached_tokens=cached_tokens+excluded.cached_tokens, "
        "generated_tokens=generated_tokens+excluded.generated_tokens, slot_seconds=slot_seconds+excluded.slot_seconds");
    for (const auto& [slot, sum] : taken)
      put.bind(slot.hour).bind(slot.key_id).bind(slot.model).bind(slot.ai).bind(sum.requests).bind(sum.failed).bind(sum.prompt_tokens).bind(sum.cached_tokens).bind(sum.generated_tokens).bind(sum.slot_seconds).run();
    if (seconds > 0)
      database_.prepare("INSERT INTO uptime VALUES(?,?) ON CONFLICT DO UPDATE SET seconds=seconds+excluded.seconds").bind(static_cast<int64_t>(std::time(nullptr)) / 3600).bind(seconds).run();
    whole.commit();
    counted_ = now;
  } catch (...) {
    std::lock_guard lock(mutex_);
    for (const auto& [slot, sum] : taken) pending_[slot].add(sum);
    throw;
  }
}

int64_t UsageStore::tokens_since(int64_t key_id, int64_t time) {
  int64_t tokens = 0;
  {
    const auto lock = database_.lock();
    Statement sum = database_.prepare("SELECT coalesce(sum(prompt_tokens+generated_tokens),0) FROM usage WHERE key_id=? AND hour>=?");
    if (sum.bind(key_id).bind(time / 3600).step()) tokens = sum.integer(0);
  }
  std::lock_guard lock(mutex_);
  for (const auto& [slot, sum] : pending_)
    if (slot.key_id == key_id && slot.hour >= time / 3600) tokens += sum.tokens();
  return tokens;
}

std::vector<UsageRow> UsageStore::rows(int64_t from, int64_t until) {
  const auto lock = database_.lock();
  Statement read = database_.prepare(
      "SELECT key_id,model,ai,sum(requests),sum(failed),sum(prompt_tokens),sum(cached_tokens),sum(generated_tokens),sum(slot_seconds) FROM usage "
      "WHERE hour>=? AND hour<? GROUP BY key_id,model,ai ORDER BY key_id,model,ai");
  read.bind(from / 3600).bind((until + 3599) / 3600);
  std::vector<UsageRow> out;
  while (read.step())
    out.push_back({read.integer(0), read.text(1), read.text(2), {read.integer(3), read.integer(4), read.integer(5), read.integer(6), read.integer(7), read.number(8)}});
  return out;
}

double UsageStore::uptime_seconds(int64_t from, int64_t until) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT coalesce(sum(seconds),0) FROM uptime WHERE hour>=? AND hour<?");
  read.bind(from / 3600).bind((until + 3599) / 3600);
  return read.step() ? read.number(0) : 0;
}

}  // namespace ingot
