// Kind "classify": labelled text to a text classifier with its rails.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "foundry/base.h"
#include "foundry/classify/text_classifier.h"
#include "foundry/recipe.h"
#include "foundry/record.h"
#include "guard/rails.h"

namespace ingot {

struct Labelled {
  std::vector<Record> train, test;
  uint64_t skipped = 0;
  std::vector<std::string> notes;
};
// The recipe's records, parted: by time where they have times, else by chance within each label.
Labelled read_labelled(const Recipe& recipe);

// Reads, splits (by chance within each label; by time where the records have times), trains, evaluates on the held-out part,
// gates, trains again on everything, packs. Returns the report that is packed as report.json.
nlohmann::json build_classify(const Recipe& recipe, const std::filesystem::path& out, const std::function<void(const std::string&)>& say);

// Writes the file. words: the member words.bin; test: some of it is packed to be asked; report: as it is packed.
void pack_classifier(const Recipe& recipe, const TextClassifier& model, const Rails& rails, const std::string& words, const Base& base, std::span<const Record> test,
                     const nlohmann::json& report, const std::filesystem::path& out);

// accuracy, F1, calibration error, share answered: the object that `ingot evaluate --json` prints for this kind.
nlohmann::json evaluate_classifier(const TextClassifier& model, std::span<const Record> records, uint64_t skipped);
// 1 for each record whose label is the first.
std::vector<double> hits_of(const TextClassifier& model, std::span<const Record> records);
std::string classifier_table(const nlohmann::json& evaluation);

// The first label is more likely wrong than right.
constexpr double kAbstainBelow = 0.5;

}  // namespace ingot
