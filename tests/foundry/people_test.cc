#include "foundry/people.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "foundry/person_names.h"

namespace ingot {
namespace {

std::vector<Record> by(const std::vector<std::string>& engineers) {
  std::vector<Record> records(engineers.size());
  for (size_t i = 0; i < engineers.size(); ++i) records[i].engineer = engineers[i];
  return records;
}

std::vector<std::string> engineers(const std::vector<Record>& records) {
  std::vector<std::string> names;
  for (const Record& record : records) names.push_back(record.engineer);
  return names;
}

TEST(PersonNames, OneAddressIsOnePerson) {
  auto records = by({"Ann Lee <ann@x.org>", "ann@x.org", "Ann  lee", "A. Lee <ANN@x.org>", "Ann Lee <ann@x.org>", "Bob"});
  EXPECT_EQ(merge_spellings(records), 3u);
  const std::string ann = "Ann Lee <ann@x.org>";
  EXPECT_EQ(engineers(records), (std::vector<std::string>{ann, ann, ann, ann, ann, "Bob"}));
}

TEST(PersonNames, TwoPeopleStayTwo) {
  auto records = by({"Ann Lee <ann@x.org>", "Ann Lee <lee@y.org>", "Ann Lee"});
  EXPECT_EQ(merge_spellings(records), 0u);
  auto list = by({"A <team@x>", "B <team@x>", "C <team@x>", "D <team@x>"});
  EXPECT_EQ(merge_spellings(list), 0u);  // a mailing list, not a person
}

TEST(PersonNames, ATestSpellingFindsTheLearntOne) {
  auto records = by({"ann@x.org", "Somebody", "Ann Lee"});
  const std::vector<std::string> known = {"Ann Lee <ann@x.org>", "Bob"};
  match_spellings(records, known);
  EXPECT_EQ(engineers(records), (std::vector<std::string>{known[0], "Somebody", known[0]}));
}

TriageModel two_teams() {
  Random random(3);
  std::vector<Record> records;
  for (int i = 0; i < 300; ++i) {
    Record record;
    const int part = static_cast<int>(random.below(2));
    record.engineer = (part ? "disk" : "net") + std::to_string(random.below(2));
    record.component = part ? "storage" : "network";
    record.text = (part ? "disk write fails sector" : "packet lost on socket") + std::string(" w") + std::to_string(random.below(9)) + "x";
    record.time = 1000000 + i * 3600;
    records.push_back(record);
  }
  return TriageModel::train(records, {});
}

TEST(People, JoinLeaveAndRenameWithoutTraining) {
  const TriageModel model = two_teams();
  const std::string text = "disk write fails";
  People people;
  people.left = {"disk0"};
  people.renamed = {{"disk1", "Dora"}};
  people.joined = {{"Newcomer", {"storage"}}};
  TriageAnswer before = model.classify(text, 100), answer = before;
  people.apply(answer, model, 10);
  double sum_before = 0, sum = 0;
  for (const Candidate& one : before.engineers) sum_before += one.p;
  std::vector<std::string> names;
  for (const Candidate& one : answer.engineers) {
    names.push_back(one.name);
    sum += one.p;
  }
  EXPECT_NEAR(sum, sum_before, 1e-6);
  EXPECT_EQ(std::count(names.begin(), names.end(), "disk0"), 0);
  EXPECT_EQ(names[0], "Dora");
  EXPECT_EQ(names[1], "Newcomer");  // before anyone of the other component
  TriageAnswer other = model.classify("packet lost on socket", 100);
  people.apply(other, model, 10);
  EXPECT_NE(other.engineers[0].name, "Newcomer");
  EXPECT_NE(other.engineers[1].name, "Newcomer");
}

TEST(People, TheFileHoldsNamesOfAnyKind) {
  const auto folder = std::filesystem::temp_directory_path() / "ingot_people_test";
  std::filesystem::create_directories(folder);
  const auto file = People::beside(folder / "a.ingot");
  std::filesystem::remove(file);
  EXPECT_TRUE(People::read(file).empty());
  People people;
  people.left = {"Zoë \"Z\" <z@x.org>"};
  people.renamed = {{"a.b", "c = d"}};
  people.joined = {{"N N", {"x/y", "z"}}};
  people.write(file);
  const People again = People::read(file);
  EXPECT_EQ(again.left, people.left);
  EXPECT_EQ(again.renamed, people.renamed);
  EXPECT_EQ(again.joined, people.joined);
  write_file(file, "leave = 3\n");
  EXPECT_THROW(People::read(file), Error);
  write_file(file, "leave = [\n");
  EXPECT_THROW(People::read(file), Error);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ingot
