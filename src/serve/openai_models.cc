#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/engine.h"
#include "serve/call.h"
#include "serve/refusal.h"
#include "serve/service.h"

namespace ingot {
namespace {

Json object_of(const ModelRegistry::Listed& one) {
  Json object = {{"id", one.name}, {"object", "model"}, {"created", one.created}, {"owned_by", "local"}, {"kind", one.kind}, {"loaded", one.loaded}};
  if (!one.hash.empty()) object["ai"] = one.hash;
  if (one.model && one.model->engine) object["max_model_len"] = one.model->engine->context();
  return object;
}

void list(Service& service, Call& call) {
  Json data = Json::array();
  for (const auto& one : service.models().list()) data.push_back(object_of(one));
  call.reply({{"object", "list"}, {"data", data}});
}

void one(Service& service, Call& call) {
  for (const auto& one : service.models().list())
    if (one.name == call.parameter()) return call.reply(object_of(one));
  throw Refusal{404, fmt::format("there is no model \"{}\"; see /v1/models", call.parameter()), "model_not_found", "model"};
}

}  // namespace

void add_models_routes(ApiRoutes& routes) {
  routes.push_back({"GET", "/v1/models", Scope::kAny, "The models and AIs that are served.", "", list, true});
  routes.push_back({"GET", "/v1/models/{id}", Scope::kAny, "One of them.", "", one, true});
}

}  // namespace ingot
