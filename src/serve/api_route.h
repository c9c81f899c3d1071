// One row of the table of routes: all that is decided about a request before its handler runs stands here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

class Call;
class Service;

// What a key must allow. kLive alone never asks for one; kAny takes every key that works.
enum class Scope { kLive, kAny, kRead, kInfer, kFeedback, kAdmin };
std::string_view scope_name(Scope scope);  // "live", "any", "read", "infer", "feedback", "admin"

// Whose shape errors have. kPage: a page for people, whose browser is asked for the key.
enum class ApiStyle { kOpenAi, kAnthropic, kPage };

struct ApiRoute {
  std::string_view method;   // "GET" answers HEAD too
  std::string_view path;     // "/v1/models/{id}": the last segment may be a parameter, which may hold slashes
  Scope scope;
  std::string_view summary;  // one sentence for people
  std::string_view request;  // JSON schema of the body; empty: there is none
  void (*handle)(Service& service, Call& call);
  bool quick = false;        // a look-up, answered on the network thread; all else goes to a worker
  ApiStyle style = ApiStyle::kOpenAi;
  std::string_view streams = "";  // content type beside JSON: "text/event-stream" where the body may ask for it, "text/plain", ...
  bool counted = true;       // against the limits of the key that asks
};

using ApiRoutes = std::vector<ApiRoute>;

// Every route there is. Adding one: a row in the add_... function of its family, or a new family's file and its line in
// api_routes.cc.
const ApiRoutes& api_routes();

struct RouteMatch {
  const ApiRoute* route = nullptr;  // null: none
  std::string parameter;
  std::string allowed;              // methods that the path takes, if it is known and the method is not
};
RouteMatch match_route(std::string_view method, std::string_view path);

void add_account_routes(ApiRoutes& routes);
void add_anthropic_routes(ApiRoutes& routes);
void add_classify_routes(ApiRoutes& routes);
void add_completions_routes(ApiRoutes& routes);
void add_card_routes(ApiRoutes& routes);
void add_chat_routes(ApiRoutes& routes);
void add_console_routes(ApiRoutes& routes);
void add_embeddings_routes(ApiRoutes& routes);
void add_flywheel_routes(ApiRoutes& routes);
void add_guard_routes(ApiRoutes& routes);
void add_health_routes(ApiRoutes& routes);
void add_infill_routes(ApiRoutes& routes);
void add_metrics_routes(ApiRoutes& routes);
void add_models_routes(ApiRoutes& routes);
void add_openapi_routes(ApiRoutes& routes);
void add_rerank_routes(ApiRoutes& routes);
void add_responses_routes(ApiRoutes& routes);
void add_tokenize_routes(ApiRoutes& routes);

}  // namespace ingot
