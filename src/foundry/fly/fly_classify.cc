#include <algorithm>
#include <nlohmann/json.hpp>

#include "foundry/classify/classify_build.h"
#include "foundry/fly/fly_kind.h"
#include "models/joined_encoder.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

class ClassifyFlyModel : public FlyModel {
 public:
  ClassifyFlyModel(TextClassifier model, std::shared_ptr<const TextEncoder> served, std::shared_ptr<const TextEncoder> encoder)
      : model_(std::move(model)), served_(std::move(served)), encoder_(std::move(encoder)) {
    model_.set_encoder(encoder_);
  }
  RankedNames rank(const std::string& text) const override {
    RankedNames ranked;
    for (const LabelChance& one : model_.classify(text)) {
      if (ranked.names.empty()) ranked.confidence = one.p;
      ranked.names.push_back(one.name);
      if (ranked.names.size() == 10) break;
    }
    return ranked;
  }
  void read(std::span<const std::string> texts) const override { encoder_->encode(texts); }
  std::unique_ptr<const FlyModel> uncached() const override { return std::make_unique<ClassifyFlyModel>(model_, served_, served_); }
  bool knows(const std::string& name) const override { return std::binary_search(model_.labels().begin(), model_.labels().end(), name); }
  size_t names() const override { return model_.labels().size(); }
  const TextClassifier& model() const { return model_; }

 private:
  TextClassifier model_;
  std::shared_ptr<const TextEncoder> served_, encoder_;
};

class FlyClassify : public FlyKind {
 public:
  explicit FlyClassify(const Ai& champion) : champion_(champion) {
    recipe_ = recipe_as_built(champion);
    Labelled data = read_labelled(recipe_);
    train_ = std::move(data.train);
    test_ = std::move(data.test);
    saw_test_ = recipe_.data.test.empty();
    words_ = WordVectors::load(champion.archive().member("words.bin"));
    served_ = encoder_ = words_;
    if (!champion.base()) return;
    served_ = join_encoders({words_, champion.base().encoder});
    encoder_ = join_encoders({words_, std::make_shared<CachedEncoder>(champion.base().encoder)});
  }
  std::string name_of(const Record& record) const override { return record.label; }
  Record record_of(const std::string& text, const std::string& name, const std::string&) const override {
    Record record;
    record.text = text;
    record.label = name;
    return record;
  }
  std::unique_ptr<const FlyModel> champion() const override { return std::make_unique<ClassifyFlyModel>(champion_.classifier(), served_, encoder_); }
  std::unique_ptr<const FlyModel> learn(const std::vector<Record>& records) const override {
    std::vector<std::string> texts, labels;
    for (const Record& record : records) texts.push_back(record.text), labels.push_back(record.label);
    return std::make_unique<ClassifyFlyModel>(TextClassifier::train(texts, labels, encoder_, static_cast<uint64_t>(recipe_.train.seed)), served_, encoder_);
  }
  void pack(const FlyModel& model, const nlohmann::json& report, const std::filesystem::path& out) const override {
    const TextClassifier& classifier = dynamic_cast<const ClassifyFlyModel&>(model).model();
    nlohmann::json whole = nlohmann::json::parse(champion_.archive().text("report.json"));
    whole["turn"] = report;
    // What the held-out part measures is true only of a model that has not seen it.
    if (!saw_test_) whole["evaluation"] = evaluate_classifier(classifier, test_, 0);
    pack_classifier(recipe_, classifier, champion_.rails(), words_->bytes(), champion_.base(), test_, whole, out);
  }

 private:
  const Ai& champion_;
  std::shared_ptr<const WordVectors> words_;
  std::shared_ptr<const TextEncoder> served_, encoder_;  // encoder_: the same, from the cache where it was read before
};

}  // namespace

std::unique_ptr<FlyKind> make_fly_classify(const Ai& champion) { return std::make_unique<FlyClassify>(champion); }

}  // namespace ingot
