// An AI's report card: what it is for, how it was judged, where it came from, who vouches for it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "foundry/ai.h"
#include "runtime/engine.h"
#include "serve/call.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

Json card_examples(const Archive& archive) {
  Json examples = Json::array();
  if (!archive.has("examples.jsonl")) return examples;
  const std::string_view text = archive.text("examples.jsonl");
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const Json one = Json::parse(text.substr(at, end - at), nullptr, false);
    if (one.is_object()) examples.push_back(one);
    at = end + 1;
  }
  return examples;
}

void answer_card(Service& service, Call& call) {
  for (const auto& one : service.models().list()) {
    if (one.name != call.parameter()) continue;
    Json out = {{"object", "card"}, {"name", one.name}, {"kind", one.kind}, {"ai", one.hash}, {"created", one.created}, {"bytes", one.bytes}, {"loaded", one.loaded || one.ai != nullptr}, {"versions", one.versions}};
    if (one.model && one.model->engine) out["context"] = one.model->engine->context();
    if (one.model) out["converses"] = one.model->chat != nullptr;
    if (one.ai) {
      const Archive& archive = one.ai->archive();
      out["signer"] = archive.signer() ? Json(*archive.signer()) : Json();
      out["provenance"] = Json::parse(archive.manifest())["provenance"];
      out["report"] = Json::parse(archive.text("report.json"));
      out["recipe"] = archive.has("recipe.toml") ? std::string(archive.text("recipe.toml")) : std::string();
      out["members"] = Json::array();
      for (const ArchiveMember& member : archive.members()) out["members"].push_back({{"name", member.name}, {"bytes", member.size}, {"sha256", member.sha256}});
      out["examples"] = card_examples(archive);
    }
    return call.reply(out);
  }
  throw Refusal{404, fmt::format("there is no model \"{}\"; see /v1/models", call.parameter()), "model_not_found", "model"};
}

}  // namespace

void add_card_routes(ApiRoutes& routes) {
  routes.push_back({"GET", "/v1/card/{id}", Scope::kRead, "An AI's report card: purpose, evaluation, rails, provenance, signature.", "", answer_card});
}

}  // namespace ingot
