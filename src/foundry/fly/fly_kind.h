// What the flywheel needs of a kind of AI: its data, a way to learn from more, and the file.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "foundry/ai.h"
#include "foundry/recipe.h"
#include "foundry/record.h"

namespace ingot {

struct RankedNames {
  std::vector<std::string> names;  // best first, ten at most
  std::string component;           // the first; empty where the kind has none
  double confidence = 0;           // probability of the first name
};

// A trained model that can be judged. Thread-safe.
class FlyModel {
 public:
  virtual ~FlyModel() = default;
  virtual RankedNames rank(const std::string& text) const = 0;
  // Reads many texts at once, so that rank() finds in the cache what the trunk says of them.
  virtual void read(std::span<const std::string> texts) const = 0;
  virtual std::unique_ptr<const FlyModel> uncached() const = 0;  // as it will be served: every answer reads its text
  virtual bool knows(const std::string& name) const = 0;
  virtual size_t names() const = 0;  // that it tells apart
};

class FlyKind {
 public:
  // Reads the champion's sources again, which must still be where they were. Throws Error: they are not, or the kind does not rank names.
  // `champion` must outlive this.
  static std::unique_ptr<FlyKind> of(const Ai& champion);
  static bool ranks(const std::string& kind) { return kind == "triage" || kind == "classify"; }
  virtual ~FlyKind() = default;

  const Recipe& recipe() const { return recipe_; }
  const std::vector<Record>& train() const { return train_; }  // oldest first
  const std::vector<Record>& test() const { return test_; }    // later; never learnt from unless champion_saw_test()
  // The champion has learnt from the held-out part after it was judged on it: a stand-in must be judged in its place.
  bool champion_saw_test() const { return saw_test_; }
  virtual std::string name_of(const Record& record) const = 0;  // the engineer or the label
  virtual Record record_of(const std::string& text, const std::string& name, const std::string& component) const = 0;
  virtual std::unique_ptr<const FlyModel> champion() const = 0;
  // The trunk is frozen: what it said of a text when the champion was built is in the user's cache.
  virtual std::unique_ptr<const FlyModel> learn(const std::vector<Record>& records) const = 0;
  virtual void pack(const FlyModel& model, const nlohmann::json& report, const std::filesystem::path& out) const = 0;
  // One spelling of a person for all.
  virtual void settle_names(std::vector<Record>&) const {}

 protected:
  Recipe recipe_;
  std::vector<Record> train_, test_;
  bool saw_test_ = false;
};

// The recipe of a packed AI with the sources and the map that it was really built with.
Recipe recipe_as_built(const Ai& ai);
std::unique_ptr<FlyKind> make_fly_triage(const Ai& champion);
std::unique_ptr<FlyKind> make_fly_classify(const Ai& champion);

}  // namespace ingot
