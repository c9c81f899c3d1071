#include "store/request_log.h"

namespace ingot {

void RequestLog::add(const LoggedRequest& r) {
  const auto lock = database_.lock();
  database_.prepare("INSERT INTO request_log(time,answer,key_id,user,route,model,ai,status,question,reply,prompt_tokens,generated_tokens) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")
      .bind(r.time)
      .bind(r.answer_id)
      .bind(r.key_id)
      .bind(r.user)
      .bind(r.route)
      .bind(r.model)
      .bind(r.ai)
      .bind(int64_t{r.status})
      .bind(r.question)
      .bind(r.reply)
      .bind(r.prompt_tokens)
      .bind(r.generated_tokens)
      .run();
  if (retention_days_ > 0 && r.time - dropped_at_ > 3600) {
    dropped_at_ = r.time;
    database_.prepare("DELETE FROM request_log WHERE time<?").bind(r.time - retention_days_ * 86400).run();
  }
}

int64_t RequestLog::drop_old(int64_t now) {
  if (retention_days_ <= 0) return 0;
  const auto lock = database_.lock();
  database_.prepare("DELETE FROM request_log WHERE time<?").bind(now - retention_days_ * 86400).run();
  return database_.changed();
}

int64_t RequestLog::remove_user(const std::string& user) {
  const auto lock = database_.lock();
  database_.prepare("DELETE FROM request_log WHERE user=? OR key_id IN (SELECT id FROM api_key WHERE name=?)").bind(user).bind(user).run();
  const int64_t gone = database_.changed();
  database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");  // the write-ahead log holds them too
  return gone;
}

int64_t RequestLog::remove_all() {
  const auto lock = database_.lock();
  database_.execute("DELETE FROM request_log");
  const int64_t gone = database_.changed();
  database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  return gone;
}

void RequestLog::each(int64_t from, const std::function<void(const LoggedRequest&)>& take) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT time,answer,key_id,user,route,model,ai,status,question,reply,prompt_tokens,generated_tokens FROM request_log WHERE time>=? ORDER BY id");
  read.bind(from);
  while (read.step())
    take({read.integer(0), read.text(1), read.integer(2), read.text(3), read.text(4), read.text(5), read.text(6), static_cast<int>(read.integer(7)), read.text(8), read.text(9), read.integer(10), read.integer(11)});
}

int64_t RequestLog::size() {
  const auto lock = database_.lock();
  Statement count = database_.prepare("SELECT count(*) FROM request_log");
  return count.step() ? count.integer(0) : 0;
}

}  // namespace ingot
