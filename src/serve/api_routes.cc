#include "serve/api_route.h"

namespace ingot {

const ApiRoutes& api_routes() {
  static const ApiRoutes routes = [] {
    ApiRoutes all;
    add_health_routes(all);
    add_models_routes(all);
    add_card_routes(all);
    add_chat_routes(all);
    add_completions_routes(all);
    add_responses_routes(all);
    add_anthropic_routes(all);
    add_infill_routes(all);
    add_embeddings_routes(all);
    add_rerank_routes(all);
    add_tokenize_routes(all);
    add_classify_routes(all);
    add_guard_routes(all);
    add_flywheel_routes(all);
    add_metrics_routes(all);
    add_account_routes(all);
    add_openapi_routes(all);
    add_console_routes(all);
    return all;
  }();
  return routes;
}

std::string_view scope_name(Scope scope) {
  switch (scope) {
    case Scope::kLive: return "live";
    case Scope::kAny: return "any";
    case Scope::kRead: return "read";
    case Scope::kInfer: return "infer";
    case Scope::kFeedback: return "feedback";
    case Scope::kAdmin: return "admin";
  }
  return "admin";
}

RouteMatch match_route(std::string_view method, std::string_view path) {
  if (method == "HEAD") method = "GET";
  RouteMatch match;
  for (const ApiRoute& route : api_routes()) {
    const size_t brace = route.path.find('{');
    std::string_view parameter;
    if (brace == std::string_view::npos) {
      if (route.path != path) continue;
    } else {
      if (!path.starts_with(route.path.substr(0, brace)) || path.size() == brace) continue;
      parameter = path.substr(brace);
    }
    if (route.method == method) return {&route, std::string(parameter), ""};
    if (match.allowed.find(route.method) == std::string::npos) match.allowed += (match.allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  return match;
}

}  // namespace ingot
