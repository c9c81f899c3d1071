// Which of the served AIs a question belongs to; learnt anew whenever the AIs change.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ingot {

class ModelRegistry;

class Subjects {
 public:
  void renew(const ModelRegistry& models);

  struct Answer {
    std::optional<std::string> best;
    std::vector<std::pair<std::string, double>> scores;
  };
  Answer route(const std::string& text) const;
  // Name of another AI whose subject the text is; empty if there is none.
  std::string other_than(const std::string& name, const std::string& text) const;

 private:
  struct State;
  std::shared_ptr<const State> state() const;
  mutable std::mutex mutex_;
  std::shared_ptr<const State> state_;
};

}  // namespace ingot
