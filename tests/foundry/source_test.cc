#include "foundry/sources/source.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"

namespace ingot {
namespace {

std::filesystem::path written(const std::string& name, const std::string& bytes) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::filesystem::create_directories(path.parent_path());
  write_file(path, bytes);
  return path;
}

TEST(SourceTime, ReadsWhatTrackersWrite) {
  EXPECT_EQ(parse_time("2002-02-13 11:46:38 EST"), 1013618798);
  EXPECT_EQ(parse_time("2002-02-13T16:46:38Z"), 1013618798);
  EXPECT_EQ(parse_time("2002-02-13T17:46:38.123+0100"), 1013618798);
  EXPECT_EQ(parse_time("Wed, 13 Feb 2002 17:46:38 +0100"), 1013618798);
  EXPECT_EQ(parse_time("13/Feb/02 4:46 PM"), 1013618798 - 38);
  EXPECT_EQ(parse_time("1013618798"), 1013618798);
  EXPECT_EQ(parse_time("1013618798000"), 1013618798);
  EXPECT_EQ(parse_time("2002-02-13 12:46:38 -0400"), 1013618798);
  bool assumed = false;
  EXPECT_EQ(parse_time("2002-02-13 16:46:38", &assumed), 1013618798);
  EXPECT_TRUE(assumed);
  for (const char* bad : {"", "yesterday", "2002-13-01", "2002-02-13 25:99", "2002-02-13 11:46 XQZ", "13 Foo 2002"}) EXPECT_FALSE(parse_time(bad)) << bad;
}

TEST(SourceCsv, QuotedNewlinesEncodingsAndReasons) {
  const auto path = written("a.csv",
                            "\xEF\xBB\xBF" "Bug ID,Assignee,Component,text,time\r\n"
                            "1,ann,ui,\"a \"\"quoted\"\"\nline, and more\",2002-02-13 11:46:38 EST\r\n"
                            "2,bob,core,caf\xE9 crash,2002-02-12 11:46:38 EST\r\n"
                            "3,,core,no one,2002-02-12 11:46:38 EST\r\n"
                            "4,bob,core,bad date,soon\r\n"
                            "5,bob,core\r\n"
                            "1,bob,core,the same id,2002-02-14 11:46:38 EST\r\n");
  const Dataset data = read_csv(path, parse_map("id=Bug ID,engineer=Assignee,component=Component,text=text,time=time"));
  ASSERT_EQ(data.records.size(), 2u);
  EXPECT_EQ(data.records[0].id, "2");  // oldest first
  EXPECT_EQ(data.records[0].text, "caf\xC3\xA9 crash");
  EXPECT_EQ(data.records[1].text, "a \"quoted\"\nline, and more");
  EXPECT_EQ(data.records[1].line, 2u);
  EXPECT_EQ(data.skipped.at("missing engineer"), 1u);
  EXPECT_EQ(data.skipped.at("unreadable date"), 1u);
  EXPECT_EQ(data.skipped.at("3 columns instead of 5"), 1u);
  EXPECT_EQ(data.skipped.at("the same id twice"), 1u);
  EXPECT_EQ(data.rows_read, 6u);
  for (const SkippedRow& row : data.examples) {
    if (row.reason == "unreadable date") {
      EXPECT_EQ(row.line, 6u);
    }
  }
}

TEST(SourceCsv, RefusesWhatItCannotRead) {
  const auto said = [](const std::filesystem::path& path, const char* map) -> std::string {
    try {
      read_csv(path, parse_map(map));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(said(written("b.csv", "Bug,Asignee,text\n1,a,b\n"), "engineer=Assignee").find("Asignee"), std::string::npos);
  EXPECT_NE(said(written("c.csv", ""), "").find("empty"), std::string::npos);
  EXPECT_NE(said(written("d.csv", std::string("\x7f" "ELF\0\0\0", 7)), "").find("binary"), std::string::npos);
  EXPECT_NE(said(written("e.csv", "text,engineer\nx,\"never closed\nmore\n"), "").find("e.csv:2"), std::string::npos);
  EXPECT_THROW(read_csv("/nonexistent.csv", {}), Error);
}

TEST(SourceCsv, FindsTheSeparatorInTheLineOfNames) {
  for (const char* separator : {",", ";", "\t"}) {
    const std::string s = separator;
    const auto path = written("separated.csv", "id" + s + "engineer" + s + "\"text\"" + s + "\"a,b;c\td,;\"\n1" + s + "ann" + s + "\"a, b; c\td\"" + s + "x\n");
    const Dataset data = read_csv(path, {});
    ASSERT_EQ(data.records.size(), 1u) << s;
    EXPECT_EQ(data.records[0].text, "a, b; c\td");
    EXPECT_EQ(data.records[0].engineer, "ann");
  }
}

TEST(SourceCsv, HoldsTheNewestOnlyAndCountsTheRest) {
  std::string text = "id,engineer,text,time\n";
  for (int i = 0; i < 1000; ++i) text += std::to_string(i) + ",ann,text " + std::to_string(i) + "," + std::to_string(1000000000 + (i * 7919) % 1000) + "\n";
  text += "3,ann,again,1000000000\n";
  const auto path = written("many.csv", text);
  const Dataset whole = read_csv(path, {});
  Holding hold;
  hold.newest = 30;
  const Dataset held = read_csv(path, {}, hold);
  ASSERT_EQ(held.records.size(), 30u);
  EXPECT_EQ(held.older, 970u);
  EXPECT_EQ(held.rows_read, 1001u);
  EXPECT_EQ(held.skipped.at("the same id twice"), 1u);
  for (size_t i = 0; i < 30; ++i) EXPECT_EQ(held.records[i].id, whole.records[970 + i].id);
  size_t visited = 0;
  Holding show;
  show.visit = [&](const Record&) { ++visited; };
  EXPECT_TRUE(read_csv(path, {}, show).records.empty());
  EXPECT_EQ(visited, 1000u);
}

TEST(SourceJsonl, ObjectsAndOthers) {
  const auto path = written("a.jsonl", "{\"text\":\"it crashes\",\"engineer\":\"ann\",\"time\":1013618798}\n[1]\n{\"text\":\"\",\"engineer\":\"b\"}\n\nnot json\n");
  const Dataset data = read_jsonl(path, {});
  ASSERT_EQ(data.records.size(), 1u);
  EXPECT_EQ(data.records[0].time, 1013618798);
  EXPECT_EQ(data.skipped.at("not a JSON object"), 2u);
}

TEST(SourceChangelogs, OneBulletIsOneRecordAndNamesGoOut) {
  const std::string log =
      "frob (1.2-3) unstable; urgency=medium\n\n  [ Ann Example ]\n  * Fix crash of frob when the config file\n    is missing. (Closes: #123456)\n"
      "  * Thanks to Zed for the long report about fonts.\n\n  [ Bob Example ]\n  * Do not leak memory while parsing the index, thanks to Carl Somebody.\n\n"
      " -- Carol Example <carol@example.org>  Wed, 13 Feb 2002 17:46:38 +0100\n\n"
      "frob (1.2-2) unstable; urgency=low\n\n  * New upstream release.\n  * Install the manual page in the right place\n\n"
      " -- Carol Example <carol@example.org>  Tue, 12 Feb 2002 17:46:38 +0100\n";
  const auto path = written("doc/frob/changelog.Debian", log);
  written("doc/libfrob/changelog.Debian", log);
  const Dataset data = read_changelogs(path.parent_path().parent_path());
  ASSERT_EQ(data.records.size(), 3u);
  EXPECT_EQ(data.records[0].engineer, "Carol Example");
  EXPECT_EQ(data.records[1].engineer, "Ann Example");
  EXPECT_EQ(data.records[1].text, "Fix crash of when the config file is missing.");
  EXPECT_EQ(data.records[2].engineer, "Bob Example");
  EXPECT_EQ(data.records[2].text.find("Carl"), std::string::npos);
  EXPECT_EQ(data.records[2].component, "frob");
}

}  // namespace
}  // namespace ingot
