#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "foundry/sources/source.h"

namespace ingot {
namespace {

const std::string kData = std::string(INGOT_TEST_DATA) + "/foundry/data/";

TEST(SourceTracker, BugzillaJson) {
  const Dataset data = read_source("bugzilla:" + kData + "bugzilla.json", {});
  ASSERT_EQ(data.records.size(), 2u);
  EXPECT_EQ(data.records[0].id, "103");  // oldest first
  EXPECT_EQ(data.records[0].component, "Core");
  EXPECT_EQ(data.records[1].engineer, "ann@example.org");
  EXPECT_EQ(data.records[1].text, "Sorting the table loses the selection\nSteps: open, sort {twice} \"quoted\"");
  EXPECT_EQ(data.records[1].line, 2u);
  EXPECT_EQ(data.records[1].fields.at("product"), "Platform");
  EXPECT_EQ(data.skipped.at("nobody is assigned"), 1u);
}

TEST(SourceTracker, GithubJson) {
  const Dataset data = read_source("github:" + kData + "github.json", {});
  ASSERT_EQ(data.records.size(), 1u);
  EXPECT_EQ(data.records[0].component, "area/net");
  EXPECT_EQ(data.records[0].engineer, "kim");
  EXPECT_EQ(data.skipped.at("a pull request, not an issue"), 1u);
  EXPECT_EQ(data.skipped.at("nobody is assigned"), 1u);
  EXPECT_EQ(data.rows_read, 3u);
}

TEST(SourceTracker, JiraJsonAndCsv) {
  const Dataset json = read_source("jira:" + kData + "jira.json", {});
  ASSERT_EQ(json.records.size(), 1u);
  EXPECT_NE(json.records[0].text.find("The page says 500"), std::string::npos);
  EXPECT_EQ(json.records[0].time, 1633015200);
  EXPECT_EQ(json.records[0].component, "auth");
  const Dataset csv = read_source("jira:" + kData + "jira.csv", {});
  ASSERT_EQ(csv.records.size(), 1u);
  EXPECT_EQ(csv.records[0].id, "ABC-1");
  EXPECT_EQ(csv.records[0].component, "auth");
  EXPECT_EQ(csv.records[0].text, "Login fails\nIt says\n\"500\"");
  EXPECT_EQ(csv.skipped.at("missing engineer"), 1u);
}

TEST(SourceTracker, CutOffAndHostileFilesAreNamed) {
  const auto path = std::filesystem::path(testing::TempDir()) / "hostile.json";
  for (const std::string& bad : {std::string("{\"bugs\": [{\"id\": 1, "), std::string(" "), std::string("]"), std::string("\"abc"), std::string("{\"a\":\"\\")}) {
    write_file(path, bad);
    EXPECT_THROW(read_source("bugzilla:" + path.string(), {{"text", "nothing"}}), Error) << bad;
  }
  write_file(path, "[{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}]");
  EXPECT_TRUE(read_source("github:" + path.string(), {}).records.empty());
}

}  // namespace
}  // namespace ingot
