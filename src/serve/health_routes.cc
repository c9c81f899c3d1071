// The management routes that NIM's orchestration knows.
#include <nlohmann/json.hpp>

#include "foundry/ai.h"
#include "serve/call.h"
#include "serve/service.h"

namespace ingot {
namespace {

void live(Service&, Call& call) { call.reply({{"object", "health.response"}, {"status", "live"}, {"message", "Service is live."}}); }

void ready(Service& service, Call& call) {
  const bool ok = !service.stopping();
  call.reply({{"object", "health.response"}, {"status", ok ? "ready" : "stopping"}, {"message", ok ? "Service is ready." : "Service is shutting down."}}, ok ? 200 : 503);
}

void version(Service&, Call& call) { call.reply({{"version", INGOT_VERSION}, {"release", INGOT_VERSION}, {"api", "1"}}); }

void metadata(Service& service, Call& call) {
  Json ais = Json::array(), info = Json::array();
  for (const auto& one : service.models().list()) {
    if (one.ai) ais.push_back({{"name", one.name}, {"kind", one.kind}, {"hash", one.hash}, {"report", Json::parse(one.ai->archive().text("report.json"))}});
    info.push_back({{"shortName", one.name}, {"modelUrl", ""}, {"kind", one.kind}, {"hash", one.hash}, {"loaded", one.loaded}, {"bytes", one.bytes}});
  }
  call.reply({{"version", INGOT_VERSION}, {"licenseInfo", {{"name", "Apache-2.0"}, {"path", "/v1/license"}}}, {"modelInfo", info}, {"ais", ais}});
}

void license(Service&, Call& call) {
  call.reply({{"name", "Apache-2.0"}, {"path", "LICENSE"}, {"size", 0}, {"url", "https://www.apache.org/licenses/LICENSE-2.0"},
              {"content", "Ingot is licensed under the Apache License, Version 2.0. Models have licences of their own, which their makers state."}});
}

}  // namespace

void add_health_routes(ApiRoutes& routes) {
  routes.push_back({"GET", "/v1/health/live", Scope::kLive, "The process answers.", "", live, true});
  routes.push_back({"GET", "/v1/health/ready", Scope::kRead, "Requests are taken.", "", ready, true});
  routes.push_back({"GET", "/health", Scope::kRead, "As /v1/health/ready.", "", ready, true});
  routes.push_back({"GET", "/v1/version", Scope::kRead, "The version of this service.", "", version, true});
  routes.push_back({"GET", "/v1/metadata", Scope::kRead, "What is served: names, kinds, hashes and the AIs' reports.", "", metadata});
  routes.push_back({"GET", "/v1/license", Scope::kRead, "The licence of this service.", "", license, true});
}

}  // namespace ingot
