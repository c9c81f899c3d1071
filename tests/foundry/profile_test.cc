#include "foundry/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/random.h"
#include "foundry/recipe.h"

namespace ingot {
namespace {

// Texts whose words say their label with `noise` of them drawn from everywhere.
std::vector<Record> labelled(size_t count, double noise) {
  const std::vector<std::vector<std::string>> words = {{"paper", "jam", "toner", "printer", "tray", "ink"}, {"router", "cable", "wifi", "signal", "switch", "antenna"},
                                                       {"screen", "pixel", "monitor", "dim", "brightness", "display"}};
  Random random(7);
  std::vector<Record> records;
  for (size_t i = 0; i < count; ++i) {
    Record record;
    const size_t label = random.below(words.size());
    for (int w = 0; w < 6; ++w) {
      const auto& from = words[random.uniform() < noise ? random.below(words.size()) : label];
      record.text += from[random.below(from.size())] + " ";
    }
    record.label = "label" + std::to_string(label);
    records.push_back(record);
  }
  return records;
}

TEST(Profile, ProposesAClassifierForLabelledTexts) {
  const DataProfile found = profile(labelled(600, 0.2));
  ASSERT_EQ(found.proposals.size(), 1u);
  const Proposal& best = found.proposals[0];
  EXPECT_EQ(best.kind, "classify");
  EXPECT_EQ(found.labels, 3u);
  ASSERT_EQ(best.curve.size(), 3u);
  EXPECT_GT(best.curve.back().ai, 0.9);
  EXPECT_LT(best.curve.back().majority, 0.5);
  const Recipe recipe = parse_recipe(propose_recipe(found, "it", {"csv:a \"b\".csv"}, "text=x"), "recipe.toml");
  EXPECT_EQ(recipe.kind, "classify");
  EXPECT_EQ(recipe.data.sources[0], "csv:a \"b\".csv");
}

TEST(Profile, SaysThatNoiseIsNotWorthIt) {
  const DataProfile found = profile(labelled(600, 1.0));
  EXPECT_FALSE(found.proposals[0].worth_it);
  EXPECT_THAT(found.proposals[0].verdict, testing::HasSubstr("not worth it"));
}

TEST(Profile, SaysThatTooLittleIsTooLittle) {
  std::vector<Record> few = labelled(20, 0);
  few[3].text += " write to ann@example.org";
  const DataProfile found = profile(few);
  EXPECT_TRUE(found.proposals[0].curve.empty());
  EXPECT_THAT(found.proposals[0].verdict, testing::HasSubstr("too little"));
  EXPECT_EQ(found.private_data.size(), 1u);
  EXPECT_EQ(profile({}).proposals.size(), 1u);
}

}  // namespace
}  // namespace ingot
