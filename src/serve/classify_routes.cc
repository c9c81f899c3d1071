// vLLM's /classify, over the AIs that rank.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "foundry/ai.h"
#include "serve/call.h"
#include "serve/ranking_answer.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

constexpr size_t kMostInputs = 2048;

void classify(Service& service, Call& call) {
  const auto model = service.models().acquire(text_field(call.body(), "model"));
  if (!model->ai || (model->kind != "triage" && model->kind != "classify"))
    refuse_field("model", fmt::format("\"{}\" does not classify; AIs of kind triage and classify do", model->name));
  const auto trial = service.flywheel().on_trial(model->name, call.id());
  const Ai& ai = trial ? *trial : *model->ai;
  const auto inputs = texts_field(call.body(), "input", kMostInputs);
  call.answered_by(model->name, ai.hash());
  Json data = Json::array();
  const bool triage = ai.kind() == "triage";
  for (size_t i = 0; i < inputs.size(); ++i) {
    nlohmann::json one = ranking_answer(ai, model->name, inputs[i], service.subjects());
    nlohmann::json probs = nlohmann::json::array();
    for (const auto& candidate : one[triage ? "engineers" : "labels"]) probs.push_back(candidate["p"]);
    one["index"] = i;
    if (triage) one["label"] = one["engineers"].empty() ? nlohmann::json() : one["engineers"][0]["name"];
    one["probs"] = probs;
    one["num_classes"] = triage ? ai.triage().engineers().size() : ai.classifier().labels().size();
    data.push_back(Json(one));
  }
  const std::string id = "classify-" + call.id();
  if (inputs.size() == 1) service.flywheel().remember(id, model->name, inputs[0], ai.hash(), data[0]["label"].is_string() ? data[0]["label"].get<std::string>() : "");
  call.reply({{"id", id}, {"object", "list"}, {"created", call.created()}, {"model", model->name}, {"ai", ai.hash()}, {"data", data}});
}

constexpr std::string_view kClassifyBody = R"({"type":"object","required":["input"],"properties":{"model":{"type":"string"},
  "input":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":2048}]}}})";

}  // namespace

void add_classify_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/classify", Scope::kInfer, "Ranks engineers and components, or labels, for each text.", kClassifyBody, classify});
  routes.push_back({"POST", "/classify", Scope::kInfer, "As /v1/classify.", kClassifyBody, classify});
}

}  // namespace ingot
