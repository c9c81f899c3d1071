// The flywheel of one data folder: feedback, versions and turns of every AI in it, for the command line and the service alike.
// Every method throws Error.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "foundry/ai.h"
#include "foundry/fly/curate.h"
#include "store/feedback_store.h"
#include "store/version_store.h"

namespace ingot {

struct FlyRunOptions {
  double trial_share = -1;   // < 0: promote at once; 0: answer beside the champion, unseen; else the share of requests on trial
  size_t burst = CurateOptions().burst;
};

class FlyFolder {
 public:
  // Opens DATA/ingot.db. Makes the folder if `make`; else throws Error (input) where there is none.
  explicit FlyFolder(std::filesystem::path data, bool make = false);

  FeedbackStore& feedback() { return feedback_; }
  VersionStore& versions() { return versions_; }
  const std::filesystem::path& data() const { return data_; }
  std::filesystem::path file_of(const AiVersion& version) const { return data_ / version.file; }

  // The file to serve as `name`: the current version, if `given` is one that is known here; a new AI is copied and becomes the
  // current version itself. The version goes to *number.
  std::filesystem::path adopt(const std::string& name, const Ai& given, int64_t* number);

  // Makes `given` the version that is served, known or not; its number. For a file that its owner put in another's place.
  int64_t take(const std::string& name, const Ai& given);

  // One turn, in this process. Throws Error (environment) at once if another is under way.
  nlohmann::json run(const std::string& name, const FlyRunOptions& options);
  bool turning(const std::string& name) const;
  nlohmann::json roll_back(const std::string& name, const std::string& kind = "rolled_back", const std::string& why = "");
  nlohmann::json end_trial(const std::string& name, bool promote, const std::string& why = "");
  // Falls back, or ends a trial, by itself where people agree with what is served less often than with what was before.
  // Null if all is well.
  nlohmann::json watch(const std::string& name);

  nlohmann::json status(const std::string& name);
  void describe(const std::string& name, nlohmann::json& left_out);  // adds to status' list of the last turn what was said, of what and by whom
  nlohmann::json history(const std::string& name, size_t most = 200);
  nlohmann::json forget(const std::string& person);
  // Receipts, or a source, "accepted", "rejected" or "" (undecided again).
  nlohmann::json decide(const std::string& name, const std::vector<std::string>& receipts, const std::string& source, const std::string& state);
  // Feedback since the last turn began.
  int64_t waiting(const std::string& name);
  int64_t last_turn(const std::string& name);  // seconds since 1970; 0: never

 private:
  ServedVersion served(const std::string& name);
  int64_t add_given(const std::string& name, const Ai& given, int64_t parent);  // -1: another version is served by now
  std::filesystem::path folder(const std::string& name) const { return data_ / name; }
  nlohmann::json agreement(const std::string& name, const std::string& hash);
  void clear_old(const std::string& name);
  std::filesystem::path data_;
  std::unique_ptr<Database> database_;
  FeedbackStore feedback_;
  VersionStore versions_;
};

}  // namespace ingot
