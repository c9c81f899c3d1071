#include "serve/answer_constraint.h"

#include <nlohmann/json.hpp>

#include "serve/call.h"
#include "serve/model_registry.h"
#include "serve/refusal.h"

namespace ingot {

Json tool_call_schema(const Json& tools, const std::string& name) {
  Json choices = Json::array();
  for (const Json& tool : tools) {
    const Json& function = tool["function"];
    if (!name.empty() && function["name"] != name) continue;
    const Json* parameters = field(function, "parameters");
    choices.push_back({{"type", "object"},
                       {"properties", {{"name", {{"const", function["name"]}}}, {"arguments", parameters && !parameters->empty() ? *parameters : Json{{"type", "object"}}}}},
                       {"required", {"name", "arguments"}},
                       {"additionalProperties", false}});
  }
  return choices.size() == 1 ? choices[0] : Json{{"anyOf", choices}};
}

std::shared_ptr<TokenConstraint> schema_constraint(const ServedModel&, const Json&) {
  refuse(400, "answers that are held to a schema, and tools that must be called, are not possible yet", "unsupported");
}

}  // namespace ingot
