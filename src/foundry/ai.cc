#include "foundry/ai.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "foundry/classify/classify_build.h"
#include "models/joined_encoder.h"
#include "models/word_vectors.h"
#include "runtime/open_model.h"

namespace ingot {

std::shared_ptr<const Ai> Ai::open(const std::filesystem::path& path) {
  std::error_code unknown;
  if (!std::filesystem::exists(path, unknown))
    bad_input("No such file or directory", path.string(), "name an AI's file (NAME.ingot, as ingot build writes it); plain models are for ingot chat, generate and embed");
  auto ai = std::make_shared<Ai>();
  ai->archive_ = Archive::open(path);
  const std::string kind = ai->archive_->kind();
  if (kind != "triage" && kind != "classify" && kind != "chat") {
    bad_input(fmt::format("this ingot does not run AIs of kind \"{}\"", ai->archive_->kind()), path.string(), "use the version of ingot that built the file");
  }
  std::vector<std::shared_ptr<const TextEncoder>> encoders;
  if (ai->archive_->has("words.bin")) encoders.push_back(WordVectors::load(ai->archive_->member("words.bin")));
  if (kind == "triage") ai->triage_ = TriageModel::load(ai->archive_->member("triage.bin"));
  else if (kind == "chat") {
    ai->chat_base_ = find_base(*ai->archive_);
    chat_settings(*ai->archive_);  // throws for a file that is altered
  } else if (ai->archive_->has("model.gguf")) {
    ai->base_ = base_of_bytes(ai->archive_->member("model.gguf"), path.string() + ": model.gguf", ai->archive_);
    ai->classifier_ = TextClassifier::load(ai->archive_->member("classify.bin"), encoders.empty() ? ai->base_.encoder : join_encoders({encoders.back(), ai->base_.encoder}));
  } else ai->classifier_ = TextClassifier::load(ai->archive_->member("classify.bin"), encoders.empty() ? nullptr : encoders.back());
  if (ai->archive_->has("guard.bin")) ai->rails_ = Rails::load(ai->archive_->member("guard.bin"), encoders);
  if (ai->rails_.lacks_encoder() && !ai->rails_.settings().encoder.empty()) {
    // Not found here: the rail does without where the file has such a one; else it blocks, and says which encoder it lacks.
    try {
      encoders.push_back(open_rail_encoder(ai->rails_.settings().encoder));
      ai->rails_ = Rails::load(ai->archive_->member("guard.bin"), encoders);
    } catch (const Error&) {
    }
  }
  if (kind == "triage") ai->people_ = People::read(People::beside(path));
  if (kind == "triage" && ai->triage_.uses_llama()) {
    ai->base_ = base_of_bytes(ai->archive_->member("model.gguf"), path.string() + ": model.gguf", ai->archive_);
    if (ai->base_.encoder->fingerprint() != ai->triage_.encoder_fingerprint())
      bad_input("model.gguf is not the model that triage.bin was trained with", path.string(), "build the file again");
    ai->triage_.set_encoder(ai->base_.encoder);
  }
  return ai;
}

const ChatAi& Ai::chat() const {
  std::call_once(chat_once_, [this] { chat_ = open_chat(archive_); });
  return chat_;
}

nlohmann::json Ai::answer(const std::string& text, std::span<const std::string> earlier) const {
  using nlohmann::json;
  if (!rails_.any() || kind() == "chat") return classify(text);
  const Verdict verdict = rails_.check(text, earlier);
  json result;
  if (verdict.allowed) {
    result = classify(verdict.text);
  } else if (kind() == "triage") {
    result = {{"engineers", json::array()}, {"components", json::array()}, {"abstain", true}, {"why", {{"words", json::array()}, {"similar", json::array()}}}};
  } else {
    result = {{"label", nullptr}, {"labels", json::array()}, {"abstain", true}};
  }
  result["guard"] = {{"allowed", verdict.allowed}, {"rail", verdict.rail.empty() ? json() : json(verdict.rail)}, {"score", verdict.score ? json(*verdict.score) : json()},
                     {"reason", verdict.reason}, {"watched", verdict.watched}};
  return result;
}

nlohmann::json Ai::classify(const std::string& text) const {
  if (kind() == "chat") bad_input("\"" + name() + "\" is a chat AI and does not classify", archive_->path().string(), "ask it in a conversation: ingot chat FILE, or POST /v1/chat/completions");
  if (kind() == "classify") {
    const auto chances = classifier_.classify(text);
    nlohmann::json labels = nlohmann::json::array();
    for (const LabelChance& one : chances) labels.push_back({{"name", one.name}, {"p", one.p}});
    return {{"label", chances[0].name}, {"labels", labels}, {"abstain", chances[0].p < kAbstainBelow}};
  }
  constexpr size_t kMost = 10;
  TriageAnswer answer = triage_.classify(text, people_.empty() ? kMost : std::max(triage_.engineers().size(), triage_.components().size()));
  if (!people_.empty()) people_.apply(answer, triage_, kMost);
  using nlohmann::json;
  json result = {{"engineers", json::array()}, {"components", json::array()}, {"abstain", answer.abstain}};
  for (const Candidate& one : answer.engineers) result["engineers"].push_back({{"name", one.name}, {"p", one.p}});
  for (const Candidate& one : answer.components) result["components"].push_back({{"name", one.name}, {"p", one.p}});
  json similar = json::array();
  for (const SimilarBug& bug : answer.similar) {
    similar.push_back({{"id", bug.id}, {"engineer", bug.engineer}, {"component", bug.component}, {"text", bug.text}});
  }
  result["why"] = {{"words", answer.words}, {"similar", similar}};
  return result;
}

}  // namespace ingot
