#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/call.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

void take_feedback(Service& service, Call& call) { call.reply(service.flywheel().feedback(call.body(), "feedback-" + call.id(), call.usage.caller), 202); }

void take_tracker_event(Service& service, Call& call) {
  const Json answer = service.flywheel().tracker(call.parameter(), call.body(), "feedback-" + call.id(), call.usage.caller);
  call.reply(answer, answer["kept"].get<bool>() ? 202 : 200);
}

void show_turns(Service& service, Call& call) { call.reply(service.flywheel().turns()); }

void show_flywheel(Service& service, Call& call) {
  const auto& scopes = call.usage.caller.scopes;
  call.reply(service.flywheel().status(call.parameter(), std::find(scopes.begin(), scopes.end(), "admin") != scopes.end()));
}

void begin_turn(Service& service, Call& call, const std::string& name) {
  service.flywheel().start_turn(name, number_field(call.body(), "trial", -1, 0, 1));
  call.reply({{"model", name}, {"turning", true}}, 202);
}

void turn_flywheel(Service& service, Call& call) { begin_turn(service, call, text_field(call.body(), "model", service.models().first())); }

void act_on_flywheel(Service& service, Call& call) {
  const std::string action = text_field(call.body(), "action");
  if (action == "turn") return begin_turn(service, call, call.parameter());
  const auto ids = field(call.body(), "ids") ? texts_field(call.body(), "ids", 10000) : std::vector<std::string>();
  call.reply(service.flywheel().act(call.parameter(), action, ids, text_field(call.body(), "source")));
}

void reload(Service& service, Call& call) {
  const auto result = service.reload_now();
  Json failed = Json::array();
  for (const auto& [name, why] : result.failed) failed.push_back({{"model", name}, {"reason", why}});
  call.reply({{"replaced", result.replaced}, {"failed", failed}}, failed.empty() ? 200 : 409);
}

void roll_back_version(Service& service, Call& call) {
  std::string first;
  for (const auto& one : service.models().list())
    if (first.empty() && one.ai) first = one.name;
  const std::string name = text_field(call.body(), "model", first);
  if (!service.flywheel().keeps()) {  // the versions since the start, in memory
    if (!service.models().roll_back(name)) refuse(409, fmt::format("there is no earlier version of \"{}\" since the start; with --data DIR versions are kept", name));
    service.subjects().renew(service.models());
    const auto ai = service.models().ai(name);
    return call.reply({{"model", name}, {"ai", ai->hash()}});
  }
  Json report = service.flywheel().act(name, "rollback", {}, "");
  report["model"] = name;
  report["ai"] = report["to"]["hash"];
  call.reply(report);
}

void forget_person(Service& service, Call& call) {
  const std::string person = text_field(call.body(), "person");
  if (person.empty()) refuse_field("person", "\"person\" must name whose feedback is to be deleted");
  call.reply(service.flywheel().forget(person));
}

constexpr std::string_view kFeedbackBody = R"({"type":"object","properties":{"id":{"type":"string"},"model":{"type":"string"},"input":{"type":"string"},
  "ai":{"type":"string"},"label":{"anyOf":[{"type":"string"},{"type":"object","properties":{"engineer":{"type":"string"},"component":{"type":"string"},"label":{"type":"string"}}}]},
  "rating":{"type":"string","enum":["good","bad"]},"better":{"type":"string"},"user":{"type":"string"},"consent":{"type":"boolean"},"time":{"type":"integer"}}})";
constexpr std::string_view kTurnBody = R"({"type":"object","properties":{"model":{"type":"string"},"trial":{"type":"number","minimum":0,"maximum":1}}})";
constexpr std::string_view kRollBackBody = R"({"type":"object","properties":{"model":{"type":"string"}}})";
constexpr std::string_view kActionBody = R"({"type":"object","required":["action"],"properties":{"action":{"type":"string",
  "enum":["turn","rollback","promote","withdraw","accept","reject","undecide"]},"trial":{"type":"number","minimum":0,"maximum":1},
  "ids":{"type":"array","items":{"type":"string"},"maxItems":10000},"source":{"type":"string"}}})";
constexpr std::string_view kPersonBody = R"({"type":"object","required":["person"],"properties":{"person":{"type":"string"}}})";

}  // namespace

void add_flywheel_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/feedback", Scope::kFeedback, "Says what the right answer would have been, or whether one was good.", kFeedbackBody, take_feedback});
  routes.push_back({"POST", "/v1/tracker/{model}", Scope::kFeedback, "A webhook of Bugzilla, GitHub or Jira: reassignments are learnt from.", R"({"type":"object"})", take_tracker_event});
  routes.push_back({"GET", "/v1/fly", Scope::kRead, "The flywheel's last turns.", "", show_turns});
  routes.push_back({"GET", "/v1/fly/{model}", Scope::kRead, "What came in, what was kept and why not the rest, champion, challenger, versions, history.", "", show_flywheel});
  routes.push_back({"POST", "/v1/fly", Scope::kAdmin, "Turns the flywheel: learns from the feedback, judges, promotes what is better.", kTurnBody, turn_flywheel});
  routes.push_back({"POST", "/v1/fly/{model}", Scope::kAdmin, "Turns it, rolls back, ends a trial, or decides about records that are held.", kActionBody, act_on_flywheel});
  routes.push_back({"POST", "/v1/reload", Scope::kAdmin, "Opens anew the AIs whose files were replaced since they were opened.", "", reload});
  routes.push_back({"POST", "/v1/rollback", Scope::kAdmin, "Goes back to the version of an AI before the last promotion.", kRollBackBody, roll_back_version});
  routes.push_back({"POST", "/v1/forget", Scope::kAdmin, "Deletes a person's feedback and says what remains.", kPersonBody, forget_person});
}

}  // namespace ingot
