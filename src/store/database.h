// The records of one data folder: DATA/ingot.db, SQLite in WAL mode, its schema migrated when it is opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace ingot {

// A prepared statement. Used by the thread that holds the database's lock.
class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  Statement& bind(int64_t value);  // the next "?"
  Statement& bind(double value);
  Statement& bind(std::string_view text);
  Statement& bind_bytes(std::span<const unsigned char> bytes);
  bool step();  // false when there are no more rows. Throws Error (environment)
  void run();   // steps to the end, then may be bound anew

  int64_t integer(int column) const;
  double number(int column) const;
  std::string text(int column) const;  // bytes too

 private:
  void check(int result) const;
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;  // owns
  int bound_ = 0;
};

class Database {
 public:
  // Makes folder (0700) and file (0600) if need be. Throws Error: environment (disk, a newer schema), input (not a database).
  explicit Database(const std::filesystem::path& folder);
  ~Database();
  Database(const Database&) = delete;

  static std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "ingot.db"; }

  // Hold it while statements are used; one connection serves all threads of this process.
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  Statement prepare(std::string_view sql) { return {database_, sql}; }  // REQUIRES: lock() is held
  void execute(const char* sql);                                       // REQUIRES: lock() is held
  int64_t changes_elsewhere();    // a number that differs once another connection has written. REQUIRES: lock() is held
  int64_t last_id() const;
  int changed() const;            // rows of the last statement

  const std::filesystem::path& folder() const { return folder_; }

 private:
  void use_write_ahead_log();
  void migrate();
  std::filesystem::path folder_;
  std::mutex mutex_;
  sqlite3* database_ = nullptr;  // owns
};

// Rolled back unless committed. REQUIRES: the lock is held all the while.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }
  ~Transaction();
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace ingot
