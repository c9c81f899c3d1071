#include <algorithm>
#include <nlohmann/json.hpp>

#include "foundry/classify/classify_build.h"
#include "foundry/fly/fly_kind.h"
#include "models/joined_encoder.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

struct FlyEncoders {
  std::shared_ptr<const TextEncoder> served, cached;  // the packed ones; the same, with what was read before
  std::shared_ptr<const TextEncoder> trunk;           // cached's part that reads; null: words alone
};

class ClassifyFlyModel : public FlyModel {
 public:
  ClassifyFlyModel(TextClassifier model, FlyEncoders encoders) : model_(std::move(model)), encoders_(std::move(encoders)) { model_.set_encoder(encoders_.cached); }
  RankedNames rank(const std::string& text) const override {
    RankedNames ranked;
    for (const LabelChance& one : model_.classify(text)) {
      if (ranked.names.empty()) ranked.confidence = one.p;
      ranked.names.push_back(one.name);
      if (ranked.names.size() == 10) break;
    }
    return ranked;
  }
  void read(std::span<const std::string> texts) const override {
    if (encoders_.trunk) encoders_.trunk->encode(texts);
  }
  std::unique_ptr<const FlyModel> uncached() const override { return std::make_unique<ClassifyFlyModel>(model_, FlyEncoders{encoders_.served, encoders_.served, nullptr}); }
  bool knows(const std::string& name) const override { return std::binary_search(model_.labels().begin(), model_.labels().end(), name); }
  size_t names() const override { return model_.labels().size(); }
  const TextClassifier& model() const { return model_; }

 private:
  TextClassifier model_;
  FlyEncoders encoders_;
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
    encoders_ = {words_, words_, nullptr};
    if (!champion.base()) return;
    const auto trunk = std::make_shared<CachedEncoder>(champion.base().encoder);
    encoders_ = {join_encoders({words_, champion.base().encoder}), join_encoders({words_, trunk}), trunk};
  }
  std::string name_of(const Record& record) const override { return record.label; }
  Record record_of(const std::string& text, const std::string& name, const std::string&) const override {
    Record record;
    record.text = text;
    record.label = name;
    return record;
  }
  std::unique_ptr<const FlyModel> champion() const override { return std::make_unique<ClassifyFlyModel>(champion_.classifier(), encoders_); }
  std::unique_ptr<const FlyModel> learn(const std::vector<Record>& records) const override {
    std::vector<std::string> texts, labels;
    for (const Record& record : records) texts.push_back(record.text), labels.push_back(record.label);
    return std::make_unique<ClassifyFlyModel>(TextClassifier::train(texts, labels, encoders_.cached, static_cast<uint64_t>(recipe_.train.seed)), encoders_);
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
  FlyEncoders encoders_;
};

}  // namespace

std::unique_ptr<FlyKind> make_fly_classify(const Ai& champion) { return std::make_unique<FlyClassify>(champion); }

}  // namespace ingot
