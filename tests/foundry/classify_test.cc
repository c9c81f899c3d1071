#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/random.h"
#include "foundry/ai.h"
#include "foundry/build.h"
#include "foundry/classify/classify_build.h"
#include "models/joined_encoder.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

// Three labels with verbs of their own over shared nouns.
std::vector<std::pair<std::string, std::string>> planted(size_t count, uint64_t seed) {
  Random random(seed);
  const char* verbs[3][4] = {{"open", "unlock", "unseal", "widen"}, {"shut", "lock", "seal", "bolt"}, {"paint", "varnish", "polish", "decorate"}};
  const char* nouns[] = {"gate", "door", "hatch", "window", "shutter", "trapdoor", "skylight", "fence", "drawbridge", "porch"};
  const char* places[] = {"in the north tower", "on the ground floor", "of the old barn", "next to the stable", "above the cellar", "at the back"};
  std::vector<std::pair<std::string, std::string>> rows;
  for (size_t i = 0; i < count; ++i) {
    const auto label = random.below(3);
    rows.emplace_back(std::string(verbs[label][random.below(4)]) + " the " + nouns[random.below(10)] + " " + places[random.below(6)], label == 0 ? "open" : label == 1 ? "close" : "paint");
  }
  return rows;
}

TEST(Classify, LearnsSavesAndLoads) {
  std::vector<std::string> texts, labels;
  for (const auto& [text, label] : planted(300, 1)) texts.push_back(text), labels.push_back(label);
  for (const auto& encoder : {std::shared_ptr<const TextEncoder>(WordVectors::shipped()), std::shared_ptr<const TextEncoder>()}) {
    const TextClassifier model = TextClassifier::train(texts, labels, encoder, 1);
    const std::string bytes = model.save();
    const TextClassifier again = TextClassifier::load(std::as_bytes(std::span(bytes)), encoder);
    size_t right = 0;
    for (const auto& [text, label] : planted(100, 2)) {
      const auto answer = model.classify(text), loaded = again.classify(text);
      right += answer[0].name == label;
      double sum = 0;
      for (size_t i = 0; i < answer.size(); ++i) {
        sum += answer[i].p;
        EXPECT_EQ(answer[i].p, loaded[i].p);
      }
      EXPECT_NEAR(sum, 1, 1e-4);
    }
    EXPECT_GE(right, 98u);
    if (encoder) {
      EXPECT_THROW(TextClassifier::load(std::as_bytes(std::span(bytes)), nullptr), Error);
    }
    for (size_t cut = 0; cut < bytes.size(); cut += bytes.size() / 50 + 1) {
      EXPECT_THROW(TextClassifier::load(std::as_bytes(std::span(bytes.data(), cut)), encoder), Error);
    }
  }
}

// Knows the label of every text that it was tuned on, and nothing of any other.
class TunedEncoder : public TextEncoder {
 public:
  TunedEncoder(std::span<const std::string> texts, std::span<const std::string> labels, bool tells) : tells_(tells) {
    for (size_t i = 0; i < texts.size(); ++i) labels_[texts[i]] = labels[i];
  }
  int width() const override { return 3; }
  std::string fingerprint() const override { return "tuned"; }
  bool tuned_on(const std::string& text) const override { return tells_ && learnt(text); }
  std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* = nullptr) const override {
    std::vector<float> rows(texts.size() * 3, 0.f);
    for (size_t i = 0; i < texts.size(); ++i) {
      const size_t some = texts[i].size() % 3;
      const auto known = labels_.find(texts[i]);
      rows[i * 3 + (known == labels_.end() || !learnt(texts[i]) ? some : known->second == "open" ? 0 : known->second == "close" ? 1 : 2)] = 1;
    }
    return rows;
  }

 private:
  bool learnt(const std::string& text) const { return !tells_ || text.back() != 'r'; }  // three of the six places are kept back
  bool tells_;
  std::map<std::string, std::string> labels_;
};

TEST(Classify, AnEncoderThatWasTunedOnTheTextsIsWeighedByThoseItWasNot) {
  std::vector<std::string> texts, labels;
  for (const auto& [text, label] : planted(600, 1)) texts.push_back(text), labels.push_back(texts.size() % 7 ? label : "paint");  // some are wrong
  size_t right[2] = {};
  for (bool tells : {false, true}) {
    const TextClassifier model = TextClassifier::train(texts, labels, join_encoders({WordVectors::shipped(), std::make_shared<TunedEncoder>(texts, labels, tells)}), 1);
    for (const auto& [text, label] : planted(200, 2)) right[tells] += model.classify(text + " again")[0].name == label;
  }
  EXPECT_GE(right[1], 196u);
  EXPECT_LT(right[0], 180u);  // what it pretends to know would have been believed
}

TEST(Classify, BuildsAnAiThatKeepsToItsSubject) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "classify";
  std::filesystem::create_directories(folder);
  std::ofstream csv(folder / "train.csv");
  csv << "text,label\n";
  for (const auto& [text, label] : planted(400, 3)) csv << text << "," << label << "\n";
  csv.close();
  Recipe recipe = parse_recipe("name = \"doors\"\nkind = \"classify\"\npurpose = \"looks after doors\"\n[guard]\ntopic = \"block\"\n", "recipe.toml");
  recipe.data.sources = {"csv:" + (folder / "train.csv").string()};
  recipe.data.map = "text=text,label=label";
  const auto report = build(recipe, folder / "doors.ingot", [](const std::string&) {});
  EXPECT_GT(report["evaluation"]["accuracy"].get<double>(), 0.95);
  EXPECT_GT(report["guard"]["topic"]["on_topic_kept"]["share"].get<double>(), 0.9);
  EXPECT_GT(report["guard"]["topic"]["off_topic_stopped"]["share"].get<double>(), 0.9);
  EXPECT_TRUE(report["guard"]["topic"]["off_topic_stopped"].contains("low"));
  const auto ai = Ai::open(folder / "doors.ingot");
  const auto answer = ai->answer("unlock the window at the back");
  EXPECT_EQ(answer["label"], "open");
  EXPECT_TRUE(answer["guard"]["allowed"].get<bool>());
  const auto declined = ai->answer("who should win the next election");
  EXPECT_FALSE(declined["guard"]["allowed"].get<bool>());
  EXPECT_TRUE(declined["label"].is_null());
  EXPECT_TRUE(declined["labels"].empty());
  recipe.guard.examples = {"a"};
  recipe.guard.never = {"a"};
  EXPECT_THROW(build(recipe, folder / "b.ingot", [](const std::string&) {}), Error);
}

// A base that adds nothing is told, so that nobody carries it for nothing.
TEST(Classify, SaysWhatTheBaseAdds) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "classify_base";
  std::filesystem::create_directories(folder);
  std::ofstream csv(folder / "train.csv");
  csv << "text,label\n";
  for (const auto& [text, label] : planted(300, 5)) csv << text << "," << label << "\n";
  csv.close();
  Recipe recipe = parse_recipe("name = \"doors\"\nkind = \"classify\"\nbase = \"ingot-base\"\n", "recipe.toml");
  recipe.data.sources = {"csv:" + (folder / "train.csv").string()};
  recipe.data.map = "text=text,label=label";
  std::string said;
  const auto report = build(recipe, folder / "doors.ingot", [&](const std::string& line) { said += line + "\n"; });
  const auto& adds = report["evaluation"]["base_adds"];
  EXPECT_LE(adds["low"].get<double>(), adds["mean"].get<double>());
  EXPECT_LE(adds["low"].get<double>(), 0);  // the words say it all
  EXPECT_NE(said.find("no more than chance"), std::string::npos) << said;
}

}  // namespace
}  // namespace ingot
