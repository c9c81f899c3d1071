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

void check(Service& service, Call& call) {
  const std::string name = text_field(call.body(), "model", service.models().first());
  const auto ai = service.models().ai(name);
  if (!ai) refuse_field("model", fmt::format("\"{}\" is a plain model: it has no rails", name));
  Json data = Json::array();
  for (const std::string& text : texts_field(call.body(), "input", kMostInputs)) {
    const Verdict verdict = ai->rails().check(text);
    Json one = verdict_object(verdict);
    one["index"] = data.size();
    if (verdict.rail == "topic")
      if (const std::string other = service.subjects().other_than(name, text); !other.empty()) one["ask"] = other;
    data.push_back(std::move(one));
  }
  call.reply({{"object", "list"}, {"model", name}, {"ai", ai->hash()}, {"data", data}});
}

void route(Service& service, Call& call) {
  Json data = Json::array();
  for (const std::string& text : texts_field(call.body(), "input", kMostInputs)) {
    const Subjects::Answer answer = service.subjects().route(text);
    Json scores = Json::object();
    for (const auto& [name, score] : answer.scores) scores[name] = score;
    data.push_back({{"index", data.size()}, {"ai", answer.best ? Json(*answer.best) : Json()}, {"scores", scores}});
  }
  call.reply({{"object", "list"}, {"data", data}});
}

constexpr std::string_view kCheck = R"({"type":"object","required":["input"],"properties":{"model":{"type":"string"},
  "input":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":2048}]}}})";
constexpr std::string_view kRoute = R"({"type":"object","required":["input"],"properties":{
  "input":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":2048}]}}})";

}  // namespace

void add_guard_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/guard/check", Scope::kInfer, "What an AI's rails say about each text, without an answer.", kCheck, check});
  routes.push_back({"POST", "/v1/route", Scope::kInfer, "Which of the served AIs each text belongs to.", kRoute, route});
}

}  // namespace ingot
