#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "foundry/triage/evaluation.h"

namespace ingot {
namespace {

// Twelve engineers, three a component; a component has its words and a person has a few of their own.
std::vector<Record> planted_records(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<Record> records;
  for (size_t i = 0; i < count; ++i) {
    const size_t component = random.below(4), person = component * 3 + random.below(3);
    Record record;
    record.id = std::to_string(i);
    record.engineer = "person" + std::to_string(person);
    record.component = "part" + std::to_string(component);
    record.time = 1000000000 + static_cast<int64_t>(i) * 3600;
    for (int w = 0; w < 12; ++w) {
      const uint64_t draw = random.below(10);
      if (draw < 3) record.text += "alpha" + std::to_string(component * 20 + random.below(20)) + "x ";
      else if (draw < 5) record.text += "beta" + std::to_string(person * 8 + random.below(8)) + "x ";
      else record.text += "common" + std::to_string(random.below(200)) + "x ";
    }
    records.push_back(std::move(record));
  }
  return records;
}

TEST(Triage, LearnsWhatTheTextSaysAndNothingElse) {
  const auto all = planted_records(1500, 1);
  const std::span<const Record> train(all.data(), 1200);
  std::vector<Record> test(all.begin() + 1200, all.end());
  const TriageModel model = TriageModel::train(train, {});
  const auto report = evaluate_triage(model, test, 0);
  EXPECT_GT(report["engineer"]["top1"].get<double>(), 0.75);
  EXPECT_GT(report["component"]["top1"].get<double>(), 0.9);
  EXPECT_LT(report["baselines"]["majority"]["engineer"]["top1"].get<double>(), 0.2);
  EXPECT_LT(report["ece"].get<double>(), 0.1);
  // With the texts dealt to other bugs nothing may be left but chance.
  for (size_t i = 0; i < test.size(); ++i) test[i].text = all[1200 + (i + 37) % test.size()].text;
  const auto shuffled = evaluate_triage(model, test, 0);
  EXPECT_LT(shuffled["engineer"]["top1"].get<double>(), 0.2);
  EXPECT_LT(shuffled["component"]["top1"].get<double>(), 0.4);
}

TEST(Triage, AnUnseenEngineerIsAMiss) {
  const auto all = planted_records(400, 2);
  const TriageModel model = TriageModel::train(std::span(all).first(300), {});
  std::vector<Record> test(all.begin() + 300, all.end());
  for (Record& record : test) record.engineer = "nobody known";
  const auto report = evaluate_triage(model, test, 7);
  EXPECT_EQ(report["unseen"], 100);
  EXPECT_EQ(report["skipped"], 7);
  EXPECT_EQ(report["engineer"]["top10"], 0.0);
}

TEST(Triage, SavedAndLoadedAnswersAreTheSame) {
  const auto all = planted_records(400, 3);
  const TriageModel model = TriageModel::train(all, {});
  const std::string bytes = model.save();
  const TriageModel again = TriageModel::load(std::as_bytes(std::span(bytes)));
  for (size_t i = 0; i < 20; ++i) {
    const auto a = model.classify(all[i].text), b = again.classify(all[i].text);
    ASSERT_EQ(a.engineers.size(), b.engineers.size());
    for (size_t k = 0; k < a.engineers.size(); ++k) {
      EXPECT_EQ(a.engineers[k].name, b.engineers[k].name);
      EXPECT_EQ(a.engineers[k].p, b.engineers[k].p);
    }
    EXPECT_EQ(a.words, b.words);
    EXPECT_FALSE(a.similar.empty());
    std::set<std::string> ids;
    for (const SimilarBug& one : a.similar) EXPECT_TRUE(ids.insert(one.id + one.text).second) << "the same bug twice: " << one.id;
  }
}

TEST(Triage, AlteredBytesNeverCrash) {
  const std::string bytes = TriageModel::train(planted_records(120, 4), {}).save();
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    std::string altered = bytes;
    if (round % 3 == 0) altered.resize(random.below(bytes.size()));
    else altered[random.below(std::min<size_t>(bytes.size(), round % 3 == 1 ? 64 : bytes.size()))] ^= static_cast<char>(1 << random.below(8));
    try {
      TriageModel::load(std::as_bytes(std::span(altered))).classify("alpha1x beta2x");
    } catch (const Error&) {
    }
  }
}

TEST(Triage, TooLittleIsSaid) {
  const auto few = planted_records(20, 6);
  EXPECT_THROW(TriageModel::train(few, {}), Error);
}

TEST(TriageMetrics, AsScikitLearnComputesThem) {
  // sklearn.metrics.f1_score(average="weighted"/"macro", zero_division=0) and accuracy_score on these two lists.
  const std::vector<std::string> right = {"a", "a", "a", "b", "b", "c"}, said = {"a", "a", "b", "b", "d", "a"};
  const ClassMetrics m = class_metrics(right, said);
  EXPECT_NEAR(m.accuracy, 0.5, 1e-12);
  EXPECT_NEAR(m.f1_weighted, 0.5, 1e-12);
  EXPECT_NEAR(m.f1_macro, (2.0 / 3 + 0.5 + 0 + 0) / 4, 1e-12);
  EXPECT_NEAR(expected_calibration_error(std::vector<double>{0.95, 0.95, 0.15}, std::vector<int>{1, 0, 0}), (0.9 + 0.15) / 3, 1e-9);
  const auto bins = calibration_bins(std::vector<double>{0.95, 0.91, 0.15, 1.0}, std::vector<int>{1, 0, 0, 1});
  ASSERT_EQ(bins.size(), 2u);  // those that hold any
  EXPECT_EQ(bins[0]["cases"], 1);
  EXPECT_NEAR(bins[1]["confidence"].get<double>(), 2.86 / 3, 1e-9);
  EXPECT_NEAR(bins[1]["right"].get<double>(), 2.0 / 3, 1e-9);
}

}  // namespace
}  // namespace ingot
