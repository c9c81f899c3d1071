// The OpenAPI document, made of the table of routes: what is not in the table is not served, and what is served is documented.
#include <nlohmann/json.hpp>

#include "serve/call.h"
#include "serve/service.h"

namespace ingot {
namespace {

Json operation(const ApiRoute& route) {
  Json op = {{"summary", route.summary}, {"operationId", std::string(route.method) + std::string(route.path)}, {"x-scope", scope_name(route.scope)}};
  const size_t brace = route.path.find('{');
  if (brace != std::string_view::npos) {
    const std::string name(route.path.substr(brace + 1, route.path.size() - brace - 2));
    op["parameters"] = Json::array({{{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}});
  }
  if (!route.request.empty()) op["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", Json::parse(route.request)}}}}}};
  Json content = Json::object();
  if (route.streams != "text/plain" && route.streams != "text/html") content["application/json"] = {{"schema", {{"type", "object"}}}};
  if (!route.streams.empty()) content[std::string(route.streams)] = {{"schema", {{"type", "string"}}}};
  Json error = {{"description", "What is wrong, and what to do."},
                {"content", {{"application/json", {{"schema", {{"$ref", route.style == ApiStyle::kAnthropic ? "#/components/schemas/AnthropicError" : "#/components/schemas/Error"}}}}}}}};
  if (route.style == ApiStyle::kPage) error["content"] = {{"text/html", {{"schema", {{"type", "string"}}}}}};
  op["responses"] = {{"2XX", {{"description", "The answer."}, {"content", std::move(content)}}}, {"4XX", error}, {"503", error}};
  if (route.scope == Scope::kLive) op["security"] = Json::array();
  return op;
}

void openapi(Service&, Call& call) {
  Json paths = Json::object();
  for (const ApiRoute& route : api_routes()) {
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(c | 32);
    paths[std::string(route.path)][method] = operation(route);
  }
  const Json error = {{"type", "object"}, {"required", {"error"}},
                      {"properties", {{"error", {{"type", "object"}, {"required", {"message", "type"}},
                                                 {"properties", {{"message", {{"type", "string"}}}, {"type", {{"type", "string"}}}, {"param", {{"type", {"string", "null"}}}},
                                                                 {"code", {{"type", {"string", "null"}}}}}}}}}}};
  const Json anthropic = {{"type", "object"}, {"required", {"type", "error"}},
                          {"properties", {{"type", {{"const", "error"}}}, {"request_id", {{"type", "string"}}},
                                          {"error", {{"type", "object"}, {"required", {"type", "message"}}, {"properties", {{"type", {{"type", "string"}}}, {"message", {{"type", "string"}}}}}}}}}};
  call.reply({{"openapi", "3.1.0"},
              {"info", {{"title", "Ingot"}, {"version", INGOT_VERSION}, {"description", "An AI that you run yourself, behind the APIs that clients know."}, {"license", {{"name", "Apache-2.0"}}}}},
              {"security", Json::array({{{"bearer", Json::array()}}, {{"header", Json::array()}}, {{"basic", Json::array()}}})},
              {"paths", std::move(paths)},
              {"components", {{"schemas", {{"Error", error}, {"AnthropicError", anthropic}}},
                              {"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}, {"basic", {{"type", "http"}, {"scheme", "basic"}}}, {"header", {{"type", "apiKey"}, {"in", "header"}, {"name", "x-api-key"}}}}}}}});
}

}  // namespace

void add_openapi_routes(ApiRoutes& routes) {
  routes.push_back({"GET", "/openapi.json", Scope::kRead, "This document.", "", openapi});
}

}  // namespace ingot
