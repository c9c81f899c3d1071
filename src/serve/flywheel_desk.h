// Takes feedback on answers and turns the flywheel when it is asked to.
#pragma once

#include <atomic>
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

#include "store/feedback_log.h"

namespace ingot {

class ModelRegistry;
class Subjects;

class FlywheelDesk {
 public:
  // data empty: nothing is kept, and feedback is refused.
  FlywheelDesk(std::filesystem::path data, ModelRegistry& models, Subjects& subjects);
  ~FlywheelDesk();  // waits for a turn under way

  // The latest answers, so that feedback can cite an id.
  void remember(const std::string& id, const std::string& model, const std::string& text);
  // body: {"id"} or {"model", "input"}, and "label". Throws Refusal.
  nlohmann::ordered_json feedback(const nlohmann::ordered_json& body, const std::string& id);
  void start_turn(const std::string& model);  // throws Refusal 409
  nlohmann::ordered_json turns() const;

 private:
  void turn_one(std::string name);
  std::filesystem::path data_;
  ModelRegistry& models_;
  Subjects& subjects_;
  struct Answered {
    std::string model, text;
  };
  mutable std::mutex mutex_;  // guards all up to turning_
  std::unordered_map<std::string, Answered> answered_;
  std::deque<std::string> order_;
  std::map<std::string, std::string> turns_;  // model -> report of its last turn, JSON
  std::map<std::string, std::unique_ptr<FeedbackLog>> logs_;
  std::thread turning_;
  std::atomic<bool> busy_{false};
};

}  // namespace ingot
