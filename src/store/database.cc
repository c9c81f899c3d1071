#include "store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "core/error.h"

namespace ingot {
namespace {

// Each is applied once, in order; PRAGMA user_version counts them. A step that was released is never changed, only followed.
constexpr const char* kMigrations[] = {
    R"(CREATE TABLE api_key(
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         name TEXT NOT NULL UNIQUE,
         hash BLOB NOT NULL UNIQUE,          -- keyed BLAKE2b-256 of the key
         hint TEXT NOT NULL,                 -- its first characters, to tell keys apart
         previous BLOB, previous_until INTEGER NOT NULL DEFAULT 0,  -- the key before a rotation, and until when it works
         scopes TEXT NOT NULL,               -- separated by spaces
         requests_per_minute INTEGER NOT NULL, tokens_per_minute INTEGER NOT NULL,  -- 0: no limit
         tokens_per_day INTEGER NOT NULL, tokens_per_month INTEGER NOT NULL,
         priority INTEGER NOT NULL,
         created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL);  -- seconds since 1970; 0: never
       CREATE TABLE usage(
         hour INTEGER NOT NULL,              -- since 1970
         key_id INTEGER NOT NULL,            -- 0: no key was asked for
         model TEXT NOT NULL, ai TEXT NOT NULL,
         requests INTEGER NOT NULL, failed INTEGER NOT NULL,
         prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL,
         slot_seconds REAL NOT NULL,         -- that requests were worked on, waiting in the queue not counted
         PRIMARY KEY(hour, key_id, model, ai)) WITHOUT ROWID;
       CREATE TABLE uptime(hour INTEGER PRIMARY KEY, seconds REAL NOT NULL);
       CREATE TABLE request_log(
         id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,
         answer TEXT NOT NULL, key_id INTEGER NOT NULL, user TEXT NOT NULL, route TEXT NOT NULL, model TEXT NOT NULL, ai TEXT NOT NULL,
         status INTEGER NOT NULL, question TEXT NOT NULL, reply TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL);
       CREATE INDEX request_log_time ON request_log(time);
       CREATE INDEX request_log_user ON request_log(user);)",
    R"(CREATE TABLE feedback(
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         receipt TEXT NOT NULL UNIQUE,       -- what the sender was told
         model TEXT NOT NULL, kind TEXT NOT NULL,  -- label, good, bad, text, reassigned
         text TEXT NOT NULL,                 -- what was asked, private data taken out
         engineer TEXT NOT NULL, component TEXT NOT NULL, label TEXT NOT NULL, better TEXT NOT NULL,
         source TEXT NOT NULL, person TEXT NOT NULL,  -- a key's name; who said it
         answer TEXT NOT NULL, ai TEXT NOT NULL, said TEXT NOT NULL,  -- about which answer, of which version, and its first name
         agrees INTEGER NOT NULL,            -- 1: the answer was right, 0: it was not, -1: nobody knows
         time INTEGER NOT NULL, arrived INTEGER NOT NULL,  -- seconds since 1970; time: of the event, 0: not told
         consent INTEGER NOT NULL, state TEXT NOT NULL);   -- state: '', accepted, rejected
       CREATE INDEX feedback_model ON feedback(model, id);
       CREATE INDEX feedback_ai ON feedback(model, ai, id);
       CREATE TABLE fly_secret(value BLOB NOT NULL);
       CREATE TABLE fly_version(
         model TEXT NOT NULL, number INTEGER NOT NULL, hash TEXT NOT NULL, file TEXT NOT NULL,  -- in the data folder; empty: cleared away
         origin TEXT NOT NULL, parent INTEGER NOT NULL, created INTEGER NOT NULL,
         seen INTEGER NOT NULL,              -- the last feedback that it could learn from
         PRIMARY KEY(model, number)) WITHOUT ROWID;
       CREATE TABLE fly_current(
         model TEXT PRIMARY KEY, number INTEGER NOT NULL, since INTEGER NOT NULL,
         candidate INTEGER NOT NULL, share REAL NOT NULL) WITHOUT ROWID;  -- candidate: -1 none; share: of requests that it answers, 0: unseen
       CREATE TABLE fly_learnt(model TEXT NOT NULL, number INTEGER NOT NULL, feedback INTEGER NOT NULL, PRIMARY KEY(model, number, feedback)) WITHOUT ROWID;
       CREATE TABLE fly_event(
         id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, time INTEGER NOT NULL,
         kind TEXT NOT NULL, number INTEGER NOT NULL, seen INTEGER NOT NULL, body TEXT NOT NULL);  -- body: JSON
       CREATE INDEX fly_event_model ON fly_event(model, id);)",
};
constexpr std::chrono::milliseconds kBusyTimeout{10000};
constexpr int kVersion = static_cast<int>(std::size(kMigrations));

[[noreturn]] void failed(sqlite3* database, const std::string& where) {
  const int code = database ? sqlite3_errcode(database) : SQLITE_NOMEM;
  const std::string what = database ? sqlite3_errmsg(database) : "out of memory";
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) bad_input("not a readable database: " + what, where, "restore it from a copy, or move it away to begin anew");
  throw Error(ErrorKind::environment, "the records cannot be used: " + what, where, code == SQLITE_FULL ? "free some disk space" : "check permissions and the disk");
}

}  // namespace

Statement::Statement(sqlite3* database, std::string_view sql) : database_(database) {
  check(sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)), bound_(other.bound_) {}

void Statement::check(int result) const {
  if (result != SQLITE_OK && result != SQLITE_ROW && result != SQLITE_DONE) failed(database_, sqlite3_db_filename(database_, "main"));
}

Statement& Statement::bind(int64_t value) {
  check(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}

Statement& Statement::bind(double value) {
  check(sqlite3_bind_double(statement_, ++bound_, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  check(sqlite3_bind_text64(statement_, ++bound_, text.data() ? text.data() : "", text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_bytes(std::span<const unsigned char> bytes) {
  check(sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

bool Statement::step() {
  const int result = sqlite3_step(statement_);
  check(result);
  return result == SQLITE_ROW;
}

void Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bound_ = 0;
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::number(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  return bytes ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}

Database::Database(const std::filesystem::path& folder) : folder_(folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (!error) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  const auto file = file_in(folder);
  // Made first, so that it never is readable by others, not even for a moment. One that is there is not opened here: closing it would take
  // away the locks that another connection of this process holds (POSIX), and another process could then clear away a log in use.
  const int made = open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made < 0 && errno != EEXIST) throw Error(ErrorKind::environment, std::string("cannot make the records: ") + std::strerror(errno), file.string(), "choose a folder that can be written with --data");
  if (made >= 0) close(made);
  const int opened = sqlite3_open_v2(file.c_str(), &database_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  try {
    if (opened != SQLITE_OK) failed(database_, file.string());
    sqlite3_busy_timeout(database_, static_cast<int>(kBusyTimeout.count()));
    sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    use_write_ahead_log();
    execute("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;");
    migrate();
  } catch (...) {
    sqlite3_close_v2(database_);
    throw;
  }
}

Database::~Database() { sqlite3_close_v2(database_); }

void Database::execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) failed(database_, file_in(folder_).string());
}

void Database::use_write_ahead_log() {
  // Turning it on raises a read lock to an exclusive one. Where two connections do so at once SQLite tells one of them "busy" at once, without
  // the busy timeout, as both would wait for ever (sqlite.org/c3ref/busy_handler.html); the later try finds it turned on.
  const auto give_up = std::chrono::steady_clock::now() + kBusyTimeout;
  for (;;) {
    const int result = sqlite3_exec(database_, "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr);
    if (result == SQLITE_OK) return;
    if ((result & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() > give_up) failed(database_, file_in(folder_).string());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void Database::migrate() {
  Transaction whole(*this);  // two processes that open it at once migrate it once
  int version = 0;
  {
    Statement read = prepare("PRAGMA user_version");
    if (read.step()) version = static_cast<int>(read.integer(0));
  }
  if (version > kVersion)
    throw Error(ErrorKind::environment, "the records were written by a newer ingot (schema " + std::to_string(version) + ", this one knows " + std::to_string(kVersion) + ")",
                file_in(folder_).string(), "use that version, or another --data");
  if (version == kVersion) return;
  for (int i = version; i < kVersion; ++i) execute(kMigrations[i]);
  execute(("PRAGMA user_version=" + std::to_string(kVersion)).c_str());
  whole.commit();
}

int64_t Database::changes_elsewhere() {
  Statement read = prepare("PRAGMA data_version");
  return read.step() ? read.integer(0) : 0;
}

int64_t Database::last_id() const { return sqlite3_last_insert_rowid(database_); }
int Database::changed() const { return sqlite3_changes(database_); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {
    // A failed statement may have rolled back already.
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace ingot
