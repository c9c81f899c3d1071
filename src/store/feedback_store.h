// What people said about answers: on the disk before it is acknowledged, deleted on a person's word.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store/database.h"

namespace ingot {

struct Feedback {
  int64_t id = 0;             // rises with arrival
  std::string receipt;        // what the sender was told
  std::string model, kind;    // kind: "label", "good", "bad", "text", "reassigned"
  std::string text;           // what was asked, private data taken out
  std::string engineer, component, label, better;
  std::string source;         // name of the key; "local" where none was asked for
  std::string person;         // who said it; a pseudonym where the name itself is private data
  std::string answer, ai, said;  // id of the answer, hash of the version that gave it, its first name; may be empty
  int agrees = -1;            // 1: the answer was right, 0: it was not, -1: nobody knows
  int64_t time = 0, arrived = 0;  // seconds since 1970; time: of the event, 0: not told
  bool consent = true;
  std::string state;          // "", "accepted" or "rejected" by the owner

  const std::string& name() const { return label.empty() ? engineer : label; }  // the right answer, of either kind
};

class FeedbackStore {
 public:
  explicit FeedbackStore(Database& database);

  // Returns the record's id once it is durable: those that come together share one write to the disk. Any thread.
  // Throws Error (environment); nothing is acknowledged then.
  int64_t append(Feedback record);

  void each(const std::string& model, int64_t after, const std::function<void(const Feedback&)>& take);
  int64_t count(const std::string& model, int64_t after);  // that came after this id
  int64_t last(const std::string& model);                  // id; 0: there is none
  struct Agreement {
    int64_t known = 0, right = 0;
  };
  Agreement agreement(const std::string& model, const std::string& ai);  // of the newest 500 that say so

  // By receipt; empty: all of this source. How many.
  int64_t decide(const std::string& model, const std::string& receipt, const std::string& source, const std::string& state);
  // Everything of a person, by name, pseudonym or key, in all AIs. Their bytes are overwritten. Returns what went.
  std::vector<Feedback> forget(const std::string& person);
  int64_t drop_old(const std::string& model, const std::string& source, int64_t before);  // source empty: every one

  // The same name for the same person in this data folder, and no way back.
  std::string pseudonym(const std::string& person);

 private:
  struct Waiting {
    Feedback record;
    bool done = false;
    std::exception_ptr fault;
  };
  void write(const std::vector<std::shared_ptr<Waiting>>& batch);

  Database& database_;
  std::mutex mutex_;  // guards all below
  std::condition_variable written_;
  std::vector<std::shared_ptr<Waiting>> waiting_;
  bool writing_ = false;
};

}  // namespace ingot
