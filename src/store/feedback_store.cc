#include "store/feedback_store.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/sha256.h"
#include "store/key_store.h"

namespace ingot {
namespace {

constexpr const char* kFeedbackColumns =
    "receipt,model,kind,text,engineer,component,label,better,source,person,answer,ai,said,agrees,time,arrived,consent,state";

Feedback feedback_row(const Statement& row) {
  Feedback f;
  f.id = row.integer(0);
  std::string* const texts[] = {&f.receipt, &f.model, &f.kind, &f.text, &f.engineer, &f.component, &f.label, &f.better, &f.source, &f.person, &f.answer, &f.ai, &f.said};
  int column = 1;
  for (std::string* text : texts) *text = row.text(column++);
  f.agrees = static_cast<int>(row.integer(14));
  f.time = row.integer(15);
  f.arrived = row.integer(16);
  f.consent = row.integer(17) != 0;
  f.state = row.text(18);
  return f;
}

}  // namespace

FeedbackStore::FeedbackStore(Database& database) : database_(database) {
  const auto lock = database_.lock();
  Transaction whole(database_);
  bool any = false;
  {
    Statement read = database_.prepare("SELECT 1 FROM fly_secret");
    any = read.step();
  }
  if (!any) {
    std::array<unsigned char, 32> secret{};
    if (RAND_bytes(secret.data(), secret.size()) != 1) throw Error(ErrorKind::environment, "the system gives no random bytes", "", "check the machine");
    database_.prepare("INSERT INTO fly_secret(value) VALUES(?)").bind_bytes(secret).run();
  }
  whole.commit();
}

std::string FeedbackStore::pseudonym(const std::string& person) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT value FROM fly_secret");
  std::array<unsigned char, 32> secret{};
  if (read.step()) {
    const std::string bytes = read.text(0);
    std::copy_n(bytes.begin(), std::min(bytes.size(), secret.size()), secret.begin());
  }
  const KeyHash hash = keyed_hash(secret, person);
  return "person-" + hex(std::span(hash).first(8));
}

void FeedbackStore::write(const std::vector<std::shared_ptr<Waiting>>& batch) {
  const auto lock = database_.lock();
  Transaction whole(database_);
  Statement insert = database_.prepare(std::string("INSERT INTO feedback(") + kFeedbackColumns + ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const auto& one : batch) {
    Feedback& f = one->record;
    for (const std::string* text : {&f.receipt, &f.model, &f.kind, &f.text, &f.engineer, &f.component, &f.label, &f.better, &f.source, &f.person, &f.answer, &f.ai, &f.said})
      insert.bind(*text);
    insert.bind(int64_t{f.agrees}).bind(f.time).bind(f.arrived).bind(int64_t{f.consent}).bind(f.state).run();
    f.id = database_.last_id();
  }
  whole.commit();
}

int64_t FeedbackStore::append(Feedback record) {
  auto mine = std::make_shared<Waiting>();
  mine->record = std::move(record);
  std::unique_lock lock(mutex_);
  waiting_.push_back(mine);
  while (!mine->done) {
    if (writing_) {
      written_.wait(lock);
      continue;
    }
    writing_ = true;
    const auto batch = std::exchange(waiting_, {});
    lock.unlock();
    try {
      write(batch);
    } catch (...) {
      // One that cannot be kept must not take the others with it.
      for (const auto& one : batch) {
        try {
          write({one});
        } catch (...) {
          one->fault = std::current_exception();
        }
      }
    }
    lock.lock();
    writing_ = false;
    for (const auto& one : batch) one->done = true;
    written_.notify_all();
  }
  if (mine->fault) std::rethrow_exception(mine->fault);
  return mine->record.id;
}

void FeedbackStore::each(const std::string& model, int64_t after, const std::function<void(const Feedback&)>& take) {
  const auto lock = database_.lock();
  Statement read = database_.prepare(std::string("SELECT id,") + kFeedbackColumns + " FROM feedback WHERE model=? AND id>? ORDER BY id");
  read.bind(model).bind(after);
  while (read.step()) take(feedback_row(read));
}

int64_t FeedbackStore::count(const std::string& model, int64_t after) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT count(*) FROM feedback WHERE model=? AND id>?");
  read.bind(model).bind(after);
  return read.step() ? read.integer(0) : 0;
}

int64_t FeedbackStore::last(const std::string& model) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT coalesce(max(id),0) FROM feedback WHERE model=?");
  read.bind(model);
  return read.step() ? read.integer(0) : 0;
}

FeedbackStore::Agreement FeedbackStore::agreement(const std::string& model, const std::string& ai) {
  const auto lock = database_.lock();
  Statement read = database_.prepare(
      // Of what one person said of one answer the last counts.
      "SELECT count(*), coalesce(sum(agrees),0) FROM (SELECT agrees, max(id) FROM (SELECT id, agrees, answer, source, person FROM feedback WHERE model=? AND ai=? AND agrees>=0 ORDER BY id DESC LIMIT 500) "
      "GROUP BY CASE answer WHEN '' THEN CAST(id AS TEXT) ELSE answer || char(0) || source || char(0) || person END)");
  read.bind(model).bind(ai);
  Agreement result;
  if (read.step()) result = {read.integer(0), read.integer(1)};
  return result;
}

int64_t FeedbackStore::decide(const std::string& model, const std::string& receipt, const std::string& source, const std::string& state) {
  const auto lock = database_.lock();
  const bool one = !receipt.empty();
  Statement update = database_.prepare(one ? "UPDATE feedback SET state=? WHERE model=? AND receipt=?" : "UPDATE feedback SET state=? WHERE model=? AND (source=? OR person=?)");
  update.bind(state).bind(model).bind(one ? receipt : source);
  if (!one) update.bind(source);
  update.run();
  return database_.changed();
}

std::vector<Feedback> FeedbackStore::forget(const std::string& person) {
  const std::string hidden = pseudonym(person);
  std::vector<Feedback> gone;
  const auto lock = database_.lock();
  Transaction whole(database_);
  {
    Statement read = database_.prepare(std::string("SELECT id,") + kFeedbackColumns + " FROM feedback WHERE person=? OR person=? OR source=? ORDER BY id");
    read.bind(person).bind(hidden).bind(person);
    while (read.step()) gone.push_back(feedback_row(read));
  }
  database_.prepare("DELETE FROM feedback WHERE person=? OR person=? OR source=?").bind(person).bind(hidden).bind(person).run();
  whole.commit();
  database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");  // the write-ahead log holds them too
  return gone;
}

int64_t FeedbackStore::drop_old(const std::string& model, const std::string& source, int64_t before) {
  const auto lock = database_.lock();
  Statement drop = database_.prepare(source.empty() ? "DELETE FROM feedback WHERE model=? AND arrived<?" : "DELETE FROM feedback WHERE model=? AND arrived<? AND source=?");
  drop.bind(model).bind(before);
  if (!source.empty()) drop.bind(source);
  drop.run();
  return database_.changed();
}

}  // namespace ingot
