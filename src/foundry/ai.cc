#include "foundry/ai.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace ingot {

std::shared_ptr<const Ai> Ai::open(const std::filesystem::path& path) {
  auto ai = std::make_shared<Ai>();
  ai->archive_ = Archive::open(path);
  if (ai->archive_->kind() != "triage") {
    bad_input(fmt::format("this ingot does not run AIs of kind \"{}\"", ai->archive_->kind()), path.string(), "use the version of ingot that built the file");
  }
  ai->triage_ = TriageModel::load(ai->archive_->member("triage.bin"));
  return ai;
}

nlohmann::json Ai::classify(const std::string& text) const {
  const TriageAnswer answer = triage_.classify(text);
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
