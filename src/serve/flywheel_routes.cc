#include <nlohmann/json.hpp>

#include "foundry/ai.h"
#include "serve/call.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

void feedback(Service& service, Call& call) { call.reply(service.flywheel().feedback(call.body(), "feedback-" + call.id()), 202); }

void turns(Service& service, Call& call) { call.reply(service.flywheel().turns()); }

void turn(Service& service, Call& call) {
  const std::string name = text_field(call.body(), "model", service.models().first());
  service.flywheel().start_turn(name);
  call.reply({{"model", name}, {"turning", true}}, 202);
}

void roll_back(Service& service, Call& call) {
  const std::string name = text_field(call.body(), "model", service.models().first());
  if (!service.models().roll_back(name)) refuse(409, "there is no earlier version of \"" + name + "\" to go back to");
  service.subjects().renew(service.models());
  call.reply({{"model", name}, {"ai", service.models().ai(name)->hash()}});
}

void reload(Service& service, Call& call) {
  const auto names = service.models().reload();
  if (!names.empty()) service.subjects().renew(service.models());
  call.reply({{"replaced", names}});
}

constexpr std::string_view kFeedback = R"({"type":"object","required":["label"],"properties":{"id":{"type":"string"},"model":{"type":"string"},"input":{"type":"string"},
  "user":{"type":"string"},"label":{"anyOf":[{"type":"string"},{"type":"object","properties":{"engineer":{"type":"string"},"component":{"type":"string"}}}]}}})";
constexpr std::string_view kModel = R"({"type":"object","properties":{"model":{"type":"string"}}})";

}  // namespace

void add_flywheel_routes(ApiRoutes& routes) {
  routes.push_back({"POST", "/v1/feedback", Scope::kFeedback, "Says what the right answer would have been.", kFeedback, feedback});
  routes.push_back({"GET", "/v1/fly", Scope::kRead, "The flywheel's turns.", "", turns});
  routes.push_back({"POST", "/v1/fly", Scope::kAdmin, "Turns the flywheel: learns from the feedback, judges, promotes what is better.", kModel, turn});
  routes.push_back({"POST", "/v1/reload", Scope::kAdmin, "Opens anew the AIs whose files were replaced since they were opened.", "", reload});
  routes.push_back({"POST", "/v1/rollback", Scope::kAdmin, "Goes back to the version of an AI before the last promotion.", kModel, roll_back});
}

}  // namespace ingot
