// Questions and answers, kept only where the site chose so: for as long as it chose, and deleted on a user's word.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/database.h"

namespace ingot {

struct LoggedRequest {
  int64_t time = 0;  // seconds since 1970
  std::string answer_id;
  int64_t key_id = 0;
  std::string user;  // the request's "user", else the key's name
  std::string route, model, ai;
  int status = 0;
  std::string question, reply;  // what is private in them already taken out
  int64_t prompt_tokens = 0, generated_tokens = 0;
};

class RequestLog {
 public:
  // retention: days that an entry is kept; 0: without end.
  RequestLog(Database& database, int64_t retention_days) : database_(database), retention_days_(retention_days) {}

  void add(const LoggedRequest& request);  // any thread; drops what is too old, at most once an hour
  int64_t drop_old(int64_t now);           // how many went
  // By the request's user or the key's name. How many went; their bytes are overwritten in the file.
  int64_t remove_user(const std::string& user);
  int64_t remove_all();
  void each(int64_t from, const std::function<void(const LoggedRequest&)>& take);
  int64_t size();

 private:
  Database& database_;
  int64_t retention_days_;
  int64_t dropped_at_ = 0;
};

}  // namespace ingot
