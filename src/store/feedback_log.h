// What people said about answers: one JSON object a line, on the disk before it is acknowledged.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace ingot {

class FeedbackLog {
 public:
  // Makes the folder if need be. A line that a crash cut off was never acknowledged: it is closed, and left out of lines().
  explicit FeedbackLog(const std::filesystem::path& file);
  ~FeedbackLog();
  FeedbackLog(const FeedbackLog&) = delete;

  // Returns once the line is durable. `line` holds no newline. Throws Error (environment); nothing is acknowledged then.
  void append(const std::string& line);
  std::vector<std::string> lines() const;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;  // owns
  mutable std::mutex mutex_;
};

}  // namespace ingot
