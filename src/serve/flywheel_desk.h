// Takes feedback on answers, lets the flywheel turn beside the serving, and serves what it promotes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <thread>
#include <unordered_map>

#include "serve/site.h"

namespace ingot {

class Ai;
class FlyFolder;
class ModelRegistry;
class Subjects;
struct Caller;
struct Feedback;

class FlywheelDesk {
 public:
  // data empty: nothing is kept, and feedback is refused. Else every AI is served in its current version from here on.
  FlywheelDesk(std::filesystem::path data, FlywheelSite site, ModelRegistry& models, Subjects& subjects);
  ~FlywheelDesk();  // ends a turn under way; nothing of it is lost but its time

  bool keeps() const { return folder_ != nullptr; }
  // The owner put another file in an AI's place, which is served now: it is a version like any other.
  void took(const std::string& name);

  // The latest answers, so that feedback can cite an id. ai: hash of the version (empty: the one served now); said: its first name.
  void remember(const std::string& id, const std::string& model, const std::string& text, std::string ai = "", const std::string& said = "");
  // The version on trial, if this request is one of its share.
  std::shared_ptr<const Ai> on_trial(const std::string& model, const std::string& id);

  // body: {"id"} or {"model", "input"}, and "label", "rating" or "better". Returns once it is durable. Throws Refusal.
  nlohmann::ordered_json feedback(const nlohmann::ordered_json& body, const std::string& receipt, const Caller& caller);
  // A tracker's webhook (Bugzilla, GitHub, Jira): a reassignment becomes a record, all else is passed over.
  nlohmann::ordered_json tracker(const std::string& model, const nlohmann::ordered_json& body, const std::string& receipt, const Caller& caller);

  // Starts a turn as a process of its own, at low priority. trial: as FlyRunOptions. Throws Refusal 409.
  void start_turn(const std::string& model, double trial = -1);
  nlohmann::ordered_json turns() const;
  nlohmann::ordered_json status(const std::string& model, bool texts) const;  // texts: of the records that are held, for whoever decides about them
  // action: rollback, promote, withdraw, accept, reject, undecide. Throws Refusal, Error.
  nlohmann::ordered_json act(const std::string& model, const std::string& action, const std::vector<std::string>& receipts, const std::string& source);
  nlohmann::ordered_json forget(const std::string& person);

 private:
  struct Answered {
    std::string model, text, ai, said, beside;  // beside: what a version on trial would have said, unseen
  };
  struct Trial {
    int64_t version = -1;
    double share = 0;
    std::shared_ptr<const Ai> ai;
    uint64_t asked = 0, same = 0, known = 0, right = 0, champion_right = 0;  // beside the champion
  };
  FlyFolder& folder() const;  // throws Refusal 409 without a data folder
  std::string name_of(const std::string& model) const;
  nlohmann::ordered_json keep(Feedback record, const std::string& user, bool consent, const Caller& caller, const Ai& ai);
  void watch();
  void follow(const std::string& name);  // serve what the records name
  void begin_due_turns();
  void spawn(const std::string& name, double trial);  // REQUIRES: mutex_ is held
  void reap(bool wait);
  void drop_old();

  FlywheelSite site_;
  ModelRegistry& models_;
  Subjects& subjects_;
  std::unique_ptr<FlyFolder> folder_;
  mutable std::mutex mutex_;  // guards all up to following_
  std::unordered_map<std::string, Answered> answered_;
  std::deque<std::string> order_;
  size_t remembered_bytes_ = 0;  // of their texts
  std::map<std::string, Trial> trials_;
  std::map<std::string, int64_t> serving_;  // version
  std::map<std::string, int64_t> tried_;    // when a turn last began by itself, seconds since 1970
  std::string turning_;                     // name; empty: no turn of ours is under way
  int child_ = -1;
  int64_t began_ = 0;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::mutex following_;                    // one follow() at a time
  std::thread watcher_;
};

}  // namespace ingot
