#include "store/version_store.h"

#include <ctime>

namespace ingot {
namespace {

constexpr const char* kVersionColumns = "number,hash,file,origin,parent,created,seen";

AiVersion version_row(const Statement& row) {
  return {row.integer(0), row.text(1), row.text(2), row.text(3), row.integer(4), row.integer(5), row.integer(6)};
}

std::optional<ServedVersion> served_row(Database& database, const std::string& model) {
  Statement read = database.prepare("SELECT number,since,candidate,share FROM fly_current WHERE model=?");
  read.bind(model);
  if (!read.step()) return {};
  return ServedVersion{read.integer(0), read.integer(1), read.integer(2), read.number(3)};
}

void set_served(Database& database, const std::string& model, int64_t number) {
  database.prepare("INSERT OR REPLACE INTO fly_current(model,number,since,candidate,share) VALUES(?,?,?,-1,0)").bind(model).bind(number).bind(int64_t{std::time(nullptr)}).run();
}

}  // namespace

std::optional<ServedVersion> VersionStore::served(const std::string& model) {
  const auto lock = database_.lock();
  return served_row(database_, model);
}

std::optional<AiVersion> VersionStore::find(const std::string& model, int64_t number) {
  const auto lock = database_.lock();
  Statement read = database_.prepare(std::string("SELECT ") + kVersionColumns + " FROM fly_version WHERE model=? AND number=?");
  read.bind(model).bind(number);
  if (!read.step()) return {};
  return version_row(read);
}

std::optional<AiVersion> VersionStore::find_hash(const std::string& model, const std::string& hash) {
  const auto lock = database_.lock();
  Statement read = database_.prepare(std::string("SELECT ") + kVersionColumns + " FROM fly_version WHERE model=? AND hash=? ORDER BY number DESC");
  read.bind(model).bind(hash);
  if (!read.step()) return {};
  return version_row(read);
}

std::vector<AiVersion> VersionStore::list(const std::string& model) {
  const auto lock = database_.lock();
  Statement read = database_.prepare(std::string("SELECT ") + kVersionColumns + " FROM fly_version WHERE model=? ORDER BY number");
  read.bind(model);
  std::vector<AiVersion> all;
  while (read.step()) all.push_back(version_row(read));
  return all;
}

std::vector<std::string> VersionStore::models() {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT model FROM fly_current ORDER BY model");
  std::vector<std::string> all;
  while (read.step()) all.push_back(read.text(0));
  return all;
}

int64_t VersionStore::next_number(const std::string& model) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT coalesce(max(number)+1,0) FROM fly_version WHERE model=?");
  read.bind(model);
  return read.step() ? read.integer(0) : 0;
}

bool VersionStore::add(const std::string& model, const AiVersion& v, int64_t expected, double share, const std::vector<int64_t>& learnt, const FlyEvent& event) {
  const auto lock = database_.lock();
  Transaction whole(database_);
  const auto now = served_row(database_, model);
  if ((now ? now->number : -1) != expected) return false;
  database_.prepare("INSERT INTO fly_version(model,number,hash,file,origin,parent,created,seen) VALUES(?,?,?,?,?,?,?,?)")
      .bind(model).bind(v.number).bind(v.hash).bind(v.file).bind(v.origin).bind(v.parent).bind(v.created).bind(v.seen).run();
  Statement insert = database_.prepare("INSERT OR IGNORE INTO fly_learnt(model,number,feedback) VALUES(?,?,?)");
  for (int64_t id : learnt) insert.bind(model).bind(v.number).bind(id).run();
  if (share < 0) set_served(database_, model, v.number);
  else database_.prepare("UPDATE fly_current SET candidate=?, share=? WHERE model=?").bind(v.number).bind(share).bind(model).run();
  write_event(model, event);
  whole.commit();
  return true;
}

void VersionStore::serve(const std::string& model, int64_t number, const FlyEvent& event) {
  const auto lock = database_.lock();
  Transaction whole(database_);
  set_served(database_, model, number);
  write_event(model, event);
  whole.commit();
}

void VersionStore::withdraw(const std::string& model, const FlyEvent& event) {
  const auto lock = database_.lock();
  Transaction whole(database_);
  database_.prepare("UPDATE fly_current SET candidate=-1, share=0 WHERE model=?").bind(model).run();
  write_event(model, event);
  whole.commit();
}

void VersionStore::clear_file(const std::string& model, int64_t number) {
  const auto lock = database_.lock();
  database_.prepare("UPDATE fly_version SET file='' WHERE model=? AND number=?").bind(model).bind(number).run();
}

void VersionStore::write_event(const std::string& model, const FlyEvent& event) {
  database_.prepare("INSERT INTO fly_event(model,time,kind,number,seen,body) VALUES(?,?,?,?,?,?)")
      .bind(model).bind(event.time ? event.time : int64_t{std::time(nullptr)}).bind(event.kind).bind(event.number).bind(event.seen)
      .bind(event.body.empty() ? "{}" : event.body).run();
}

void VersionStore::add_event(const std::string& model, const FlyEvent& event) {
  const auto lock = database_.lock();
  write_event(model, event);
}

std::vector<FlyEvent> VersionStore::events(const std::string& model, const std::string& kind, size_t most) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT id,time,kind,number,seen,body FROM fly_event WHERE model=? AND (?='' OR kind=?) ORDER BY id DESC LIMIT ?");
  read.bind(model).bind(kind).bind(kind).bind(static_cast<int64_t>(most));
  std::vector<FlyEvent> all;
  while (read.step()) all.push_back({read.integer(0), read.integer(1), read.text(2), read.integer(3), read.integer(4), read.text(5)});
  return all;
}

int64_t VersionStore::learnt(const std::string& model, int64_t number, const std::vector<int64_t>& feedback) {
  const auto lock = database_.lock();
  int64_t count = 0;
  for (int64_t id : feedback) {
    Statement one = database_.prepare("SELECT 1 FROM fly_learnt WHERE model=? AND number=? AND feedback=?");
    one.bind(model).bind(number).bind(id);
    count += one.step();
  }
  return count;
}

int64_t VersionStore::learnt_count(const std::string& model, int64_t number) {
  const auto lock = database_.lock();
  Statement read = database_.prepare("SELECT count(*) FROM fly_learnt WHERE model=? AND number=?");
  read.bind(model).bind(number);
  return read.step() ? read.integer(0) : 0;
}

}  // namespace ingot
