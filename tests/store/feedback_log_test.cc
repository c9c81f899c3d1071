#include "store/feedback_log.h"

#include <gtest/gtest.h>

#include <fstream>

namespace ingot {
namespace {

TEST(FeedbackLog, KeepsWhatWasAcknowledgedAndNothingHalf) {
  const auto file = std::filesystem::path(testing::TempDir()) / "log" / "feedback.jsonl";
  std::filesystem::remove_all(file.parent_path());
  {
    FeedbackLog log(file);
    log.append("{\"a\":1}");
  }
  std::ofstream(file, std::ios::app) << "{\"cut";  // a crash in the middle of a write
  FeedbackLog log(file);
  log.append("{\"b\":2}");
  EXPECT_EQ(log.lines(), (std::vector<std::string>{"{\"a\":1}", "{\"b\":2}"}));
}

}  // namespace
}  // namespace ingot
