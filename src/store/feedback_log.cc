#include "store/feedback_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

#include "core/error.h"
#include "core/files.h"

namespace ingot {

FeedbackLog::FeedbackLog(const std::filesystem::path& file) : file_(file) {
  std::error_code failed;
  std::filesystem::create_directories(file.parent_path(), failed);
  descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor_ < 0) throw Error(ErrorKind::environment, std::string("cannot keep feedback: ") + std::strerror(errno), file.string(), "choose a folder that can be written with --data");
  const off_t size = lseek(descriptor_, 0, SEEK_END);
  char last = '\n';
  if (size > 0 && pread(descriptor_, &last, 1, size - 1) == 1 && last != '\n') append("");
}

FeedbackLog::~FeedbackLog() {
  if (descriptor_ >= 0) close(descriptor_);
}

void FeedbackLog::append(const std::string& line) {
  std::lock_guard lock(mutex_);
  const std::string bytes = line + "\n";
  const off_t before = lseek(descriptor_, 0, SEEK_END);
  if (write(descriptor_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) || fsync(descriptor_) != 0) {
    const int code = errno;
    if (ftruncate(descriptor_, before) != 0) {
      // The cut-off line stays; lines() passes over it.
    }
    throw Error(ErrorKind::environment, std::string("the feedback was not kept: ") + std::strerror(code), file_.string(), "free some disk space and send it again");
  }
}

std::vector<std::string> FeedbackLog::lines() const {
  std::lock_guard lock(mutex_);
  std::istringstream in{read_file(file_)};
  std::vector<std::string> result;
  for (std::string line; std::getline(in, line);) {
    if (line.size() > 1 && line.front() == '{' && line.back() == '}') result.push_back(line);
  }
  return result;
}

}  // namespace ingot
