#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "foundry/ai.h"
#include "serve/call.h"
#include "serve/ranking_answer.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

constexpr size_t kMostChecked = 2048, kMostDocuments = 256;

std::shared_ptr<const Ai> ai_of(Service& service, const std::string& name) {
  auto ai = service.models().ai(name);
  if (!ai) refuse_field("model", fmt::format("\"{}\" is a plain model: it has no rails", name));
  return ai;
}

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json findings_of(const Verdict& verdict) {
  Json findings = Json::array();
  for (const RailFinding& finding : verdict.findings) {
    findings.push_back({{"rail", name_of(finding.rail)}, {"mode", name_of(finding.mode)}, {"found", finding.hit}, {"failed", finding.failed}, {"score", number(finding.score)},
                        {"threshold", number(finding.threshold)}, {"reason", finding.reason}});
  }
  return findings;
}

std::vector<std::string> texts_or_none(const Json& body, const char* key, size_t most) { return field(body, key) ? texts_field(body, key, most) : std::vector<std::string>(); }

void check(Service& service, Call& call) {
  const std::string name = text_field(call.body(), "model", service.models().first());
  const auto ai = ai_of(service, name);
  const std::string stage = text_field(call.body(), "stage", "input");
  if (stage != "input" && stage != "retrieved" && stage != "output") refuse_field("stage", fmt::format("\"{}\" is no stage; there are \"input\", \"retrieved\" and \"output\"", stage));
  const auto earlier = texts_or_none(call.body(), "earlier", kMostChecked), documents = texts_or_none(call.body(), "documents", kMostDocuments);
  const std::string question = text_field(call.body(), "question");
  const Rails& rails = ai->rails();
  Json data = Json::array();
  for (const std::string& text : texts_field(call.body(), "input", kMostChecked)) {
    const Verdict verdict = stage == "input" ? rails.check(text, earlier) : stage == "output" ? rails.check_output(text, question, documents) : rails.check_retrieved(text);
    Json one = verdict_object(verdict);
    one["index"] = data.size();
    one["rails"] = findings_of(verdict);
    if (verdict.text != text) one["text"] = verdict.text;
    if (verdict.rail == "topic" && stage == "input")
      if (const std::string other = service.subjects().other_than(name, text); !other.empty()) one["ask"] = other;
    data.push_back(std::move(one));
  }
  call.reply({{"object", "list"}, {"model", name}, {"ai", ai->hash()}, {"stage", stage}, {"data", data}});
}

// The kinds that OpenAI's route judges and these rails do not: null, never "false".
constexpr std::string_view kNotJudged[] = {"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors",
                                           "violence", "violence/graphic"};

std::vector<std::string> moderated(const Json& body) {
  const Json* input = field(body, "input");
  if (!input || !input->is_array() || input->empty() || !input->front().is_object()) return texts_field(body, "input", kMostChecked);
  if (input->size() > kMostChecked) refuse_field("input", fmt::format("\"input\" has {} parts, at most {} are taken", input->size(), kMostChecked));
  std::vector<std::string> texts;
  for (const Json& part : *input) {
    if (!part.is_object() || !part.contains("text") || !part["text"].is_string()) refuse_field("input", "a part of \"input\" is no text; images are not judged here");
    texts.push_back(part["text"].get<std::string>());
  }
  return texts;
}

void moderate(Service& service, Call& call) {
  std::string name = text_field(call.body(), "model", service.models().first());
  if (name.starts_with("omni-moderation") || name.starts_with("text-moderation")) name = service.models().first();
  const auto ai = ai_of(service, name);
  Json results = Json::array();
  for (const std::string& text : moderated(call.body())) {
    const Verdict verdict = ai->rails().check(text);
    Json categories = Json::object(), scores = Json::object(), types = Json::object();
    for (const std::string_view kind : kNotJudged) categories[std::string(kind)] = scores[std::string(kind)] = nullptr;
    bool flagged = false;
    for (const RailFinding& finding : verdict.findings) {
      const std::string kind(finding.rail == RailKind::topic ? "off_topic" : name_of(finding.rail));
      const double score = finding.score ? (finding.rail == RailKind::topic ? 1 - *finding.score : *finding.score) : (finding.hit ? 1.0 : 0.0);
      categories[kind] = finding.hit;
      scores[kind] = score;
      types[kind] = Json::array({"text"});
      flagged |= finding.hit;
    }
    results.push_back({{"flagged", flagged}, {"categories", categories}, {"category_scores", scores}, {"category_applied_input_types", types}, {"reason", verdict.reason}});
  }
  call.reply({{"id", "modr-" + call.id()}, {"model", name}, {"results", results}});
}

void route(Service& service, Call& call) {
  Json data = Json::array();
  for (const std::string& text : texts_field(call.body(), "input", kMostChecked)) {
    const Subjects::Answer answer = service.subjects().route(text);
    Json scores = Json::object();
    for (const auto& [name, score] : answer.scores) scores[name] = score;
    data.push_back({{"index", data.size()}, {"ai", answer.best ? Json(*answer.best) : Json()}, {"scores", scores}});
  }
  call.reply({{"object", "list"}, {"data", data}});
}

// How often each rail looked, stopped, noted, masked and failed since the AI was opened.
void counts(Service& service, Call& call) {
  const std::string name = call.parameter().empty() ? service.models().first() : call.parameter();
  Json list = Json::array();
  for (const RailCount& count : ai_of(service, name)->rails().counts()) {
    list.push_back({{"rail", name_of(count.rail)}, {"stage", name_of(count.stage)}, {"checked", count.checked}, {"blocked", count.blocked}, {"watched", count.watched}, {"masked", count.masked}, {"failed", count.failed}});
  }
  call.reply({{"object", "list"}, {"model", name}, {"data", list}});
}

constexpr std::string_view kCheck = R"({"type":"object","required":["input"],"properties":{"model":{"type":"string"},
  "input":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":2048}]},
  "stage":{"enum":["input","retrieved","output"]},"earlier":{"type":"array","items":{"type":"string"}},
  "question":{"type":"string"},"documents":{"type":"array","items":{"type":"string"}}}})";
constexpr std::string_view kModerate = R"({"type":"object","required":["input"],"properties":{"model":{"type":"string"},
  "input":{"anyOf":[{"type":"string"},{"type":"array","maxItems":2048}]}}})";
constexpr std::string_view kRoute = R"({"type":"object","required":["input"],"properties":{
  "input":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":2048}]}}})";

}  // namespace

void add_guard_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/guard/check", Scope::kInfer, "What an AI's rails say about each text, without an answer.", kCheck, check});
  routes.push_back({"GET", "/v1/guard/counts/{id}", Scope::kRead, "How often each rail of an AI looked, stopped and failed.", "", counts});
  routes.push_back({"POST", "/v1/moderations", Scope::kInfer, "The same in the shape of OpenAI's moderations.", kModerate, moderate});
  routes.push_back({"POST", "/v1/route", Scope::kInfer, "Which of the served AIs each text belongs to.", kRoute, route});
}

}  // namespace ingot
