#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "foundry/build.h"
#include "foundry/fly/fly_kind.h"
#include "foundry/person_names.h"
#include "foundry/triage/evaluation.h"

namespace ingot {
namespace {

class TriageFlyModel : public FlyModel {
 public:
  // served: the packed trunk itself; encoder: the same, or what is cached of it.
  TriageFlyModel(TriageModel model, std::shared_ptr<const TextEncoder> served, std::shared_ptr<const TextEncoder> encoder) : model_(std::move(model)), served_(std::move(served)) {
    if (model_.encoder()) model_.set_encoder(std::move(encoder));
  }
  RankedNames rank(const std::string& text) const override {
    const TriageAnswer answer = model_.classify(text, 10);
    RankedNames ranked;
    for (const Candidate& one : answer.engineers) ranked.names.push_back(one.name);
    if (!answer.engineers.empty()) ranked.confidence = answer.engineers[0].p;
    if (!answer.components.empty()) ranked.component = answer.components[0].name;
    return ranked;
  }
  void read(std::span<const std::string> texts) const override {
    if (model_.encoder()) TriageModel::read(*model_.encoder(), texts);
  }
  std::unique_ptr<const FlyModel> uncached() const override { return std::make_unique<TriageFlyModel>(model_, served_, served_); }
  bool knows(const std::string& name) const override { return std::binary_search(model_.engineers().begin(), model_.engineers().end(), name); }
  size_t names() const override { return model_.engineers().size(); }
  const TriageModel& model() const { return model_; }

 private:
  TriageModel model_;
  std::shared_ptr<const TextEncoder> served_;
};

class FlyTriage : public FlyKind {
 public:
  explicit FlyTriage(const Ai& champion) : champion_(champion) {
    recipe_ = recipe_as_built(champion);
    data_ = read_and_split(recipe_);
    train_ = data_.train;
    test_ = data_.test;
    std::set<std::string> names;
    for (const Record& record : train_) names.insert(record.engineer);
    names_.assign(names.begin(), names.end());
    base_ = champion.base();
    if (base_) cached_ = std::make_shared<CachedEncoder>(base_.encoder);
  }
  std::string name_of(const Record& record) const override { return record.engineer; }
  Record record_of(const std::string& text, const std::string& name, const std::string& component) const override {
    Record record;
    record.text = text;
    record.engineer = name;
    record.component = component;
    return record;
  }
  std::unique_ptr<const FlyModel> champion() const override { return std::make_unique<TriageFlyModel>(champion_.triage(), base_.encoder, cached_); }
  std::unique_ptr<const FlyModel> learn(const std::vector<Record>& records) const override {
    return std::make_unique<TriageFlyModel>(TriageModel::train(records, triage_options(recipe_, cached_)), base_.encoder, cached_);
  }
  void pack(const FlyModel& model, const nlohmann::json& report, const std::filesystem::path& out) const override {
    const TriageModel& triage = dynamic_cast<const TriageFlyModel&>(model).model();
    nlohmann::json whole = nlohmann::json::parse(champion_.archive().text("report.json"));
    nlohmann::json evaluation = evaluate_triage(triage, test_, data_.test_skipped);
    // Look-ups as they were when it was built: corrections come all at once at the end, which "who was there last" takes for a rush.
    if (whole.contains("evaluation") && whole["evaluation"].contains("baselines")) evaluation["baselines"] = whole["evaluation"]["baselines"];
    whole.update({{"evaluation", evaluation}, {"signals", signals_of(triage)}, {"turn", report}});
    ingot::pack(recipe_, triage, base_, data_, champion_.rails(), whole, out);
  }
  void settle_names(std::vector<Record>& records) const override { match_spellings(records, names_); }

 private:
  const Ai& champion_;
  SplitData data_;
  Base base_;
  std::shared_ptr<const TextEncoder> cached_;  // null: words alone
  std::vector<std::string> names_;
};

}  // namespace

Recipe recipe_as_built(const Ai& ai) {
  Recipe recipe = packed_recipe(ai.archive().text("recipe.toml"), "recipe.toml");
  const nlohmann::json provenance = nlohmann::json::parse(ai.archive().manifest()).at("provenance");
  recipe.data.sources.clear();
  recipe.data.test.clear();
  for (const auto& one : provenance.at("train")) recipe.data.sources.push_back(one.at("source"));
  for (const auto& one : provenance.at("test")) recipe.data.test.push_back(one.at("source"));
  recipe.data.map = provenance.value("map", "");
  return recipe;
}

std::unique_ptr<FlyKind> make_fly_triage(const Ai& champion) { return std::make_unique<FlyTriage>(champion); }

std::unique_ptr<FlyKind> FlyKind::of(const Ai& champion) {
  if (champion.kind() == "triage") return make_fly_triage(champion);
  if (champion.kind() == "classify") return make_fly_classify(champion);
  bad_input("the flywheel does not turn AIs of kind \"" + champion.kind() + "\"", champion.archive().path().string(), "feedback on it is kept; build it again with what it holds");
}

}  // namespace ingot
