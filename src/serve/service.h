// The HTTP routes over the AIs that are being served: vLLM's /classify, OpenAI's chat completions and models, health.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "foundry/ai.h"
#include "net/http_server.h"

namespace ingot {

class Service {
 public:
  // ais: at least one; names must differ, else Error (usage).
  explicit Service(std::vector<std::shared_ptr<const Ai>> ais);

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
  const Ai& find(const nlohmann::json& body) const;
  std::string answer_id(const char* prefix);

  std::map<std::string, std::shared_ptr<const Ai>> ais_;
  std::string first_;
  std::string session_;  // random; makes ids differ between runs
  std::atomic<uint64_t> answers_{0};
};

}  // namespace ingot
