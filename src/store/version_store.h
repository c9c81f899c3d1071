// The versions of each AI that a data folder knows, which of them is served, and what became of the others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/database.h"

namespace ingot {

struct AiVersion {
  int64_t number = -1;
  std::string hash, file;   // file: in the data folder; empty: cleared away
  std::string origin;       // "given" or "turn"
  int64_t parent = -1;      // the version that was served before; -1: none
  int64_t created = 0;      // seconds since 1970
  int64_t seen = 0;         // the last feedback that it could learn from
};

struct ServedVersion {
  int64_t number = -1, since = 0;
  int64_t candidate = -1;   // a version on trial; -1: none
  double share = 0;         // of requests that the candidate answers; 0: it answers beside, unseen
};

struct FlyEvent {
  int64_t id = 0, time = 0;
  std::string kind;         // given, turn, promoted, candidate, rolled_back, fell_back, withdrawn, forgotten
  int64_t number = -1, seen = 0;
  std::string body;         // JSON
};

// Each change is one transaction: after a crash it has happened as a whole or not at all.
class VersionStore {
 public:
  explicit VersionStore(Database& database) : database_(database) {}

  std::optional<ServedVersion> served(const std::string& model);
  std::optional<AiVersion> find(const std::string& model, int64_t number);
  std::optional<AiVersion> find_hash(const std::string& model, const std::string& hash);
  std::vector<AiVersion> list(const std::string& model);  // oldest first
  std::vector<std::string> models();
  int64_t next_number(const std::string& model);

  // Names a new version. As candidate (share >= 0) or served at once (share < 0). False, and nothing done, if another than
  // `expected` is served by now. learnt: ids of feedback.
  bool add(const std::string& model, const AiVersion& version, int64_t expected, double share, const std::vector<int64_t>& learnt, const FlyEvent& event);
  void serve(const std::string& model, int64_t number, const FlyEvent& event);  // ends a candidate's trial too
  void withdraw(const std::string& model, const FlyEvent& event);               // the candidate
  void clear_file(const std::string& model, int64_t number);                    // its file is no more
  void add_event(const std::string& model, const FlyEvent& event);
  std::vector<FlyEvent> events(const std::string& model, const std::string& kind, size_t most);  // newest first; kind empty: all
  // How many of these the version learnt from.
  int64_t learnt(const std::string& model, int64_t number, const std::vector<int64_t>& feedback);
  int64_t learnt_count(const std::string& model, int64_t number);

 private:
  void write_event(const std::string& model, const FlyEvent& event);
  Database& database_;
};

}  // namespace ingot
