// The HTTP routes over the AIs that are being served: vLLM's /classify, OpenAI's chat completions and models, health.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "foundry/ai.h"
#include "guard/topic/router.h"
#include "net/http_server.h"
#include "store/feedback_log.h"

namespace ingot {

class Service {
 public:
  // ais: at least one; names must differ, else Error (usage).
  // data: where feedback and promoted versions are kept; empty: feedback is refused.
  Service(std::vector<std::shared_ptr<const Ai>> ais, std::filesystem::path data);
  ~Service();  // waits for a turn under way

  // Answers at once; a triage answer takes about a millisecond. Thread-safe.
  void handle(const std::shared_ptr<HttpExchange>& exchange);

  // The body of an error in OpenAI's shape.
  static std::string error_body(int status, std::string_view message);

 private:
  struct Reply {
    int status = 200;
    std::string body;
    std::string type = "application/json";
  };
  Reply route(const HttpRequest& request);
  Reply classify(const nlohmann::json& body);
  Reply chat(const nlohmann::json& body);
  Reply guard_check(const nlohmann::json& body);
  Reply route_question(const nlohmann::json& body);
  void renew_router();                              // REQUIRES: mutex_ is held, or nobody else is there yet
  // Name of another AI whose subject the text is, empty if there is none.
  std::string other_ai(const std::string& text, const std::string& not_this) const;
  Reply feedback(const nlohmann::json& body);
  Reply fly(const HttpRequest& request);
  void run_turn(std::string name);
  std::shared_ptr<const Ai> find(const nlohmann::json& body) const;
  std::string answer_id(const char* prefix);
  void remember(const std::string& id, const std::string& model, const std::string& text);

  struct Answered {
    std::string model, text;
  };
  mutable std::mutex mutex_;  // guards ais_, router_, answered_, order_, turns_
  std::map<std::string, std::shared_ptr<const Ai>> ais_;  // replaced whole on promotion; requests keep the one they began with
  std::shared_ptr<const Router> router_;                  // over ais_, in its order
  std::vector<std::string> routed_;                       // their names
  std::unordered_map<std::string, Answered> answered_;    // the latest answers, so that feedback can cite an id
  std::deque<std::string> order_;
  std::map<std::string, std::string> turns_;              // model -> report of its last turn, JSON
  std::filesystem::path data_;
  std::map<std::string, std::unique_ptr<FeedbackLog>> logs_;
  std::thread turning_;
  std::atomic<bool> busy_{false};
  std::string first_;
  std::string session_;  // random; makes ids differ between runs
  std::atomic<uint64_t> answers_{0};
};

}  // namespace ingot
