#include "serve/answer_constraint.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "runtime/constraint.h"
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

std::shared_ptr<TokenConstraint> schema_constraint(const ServedModel& model, const Json& schema) {
  if (!model.constraints) refuse(400, "answers of this model cannot be held to a schema", "unsupported");
  try {
    if (schema == Json{{"type", "object"}}) return model.constraints->make({ConstraintSpec::Kind::kJsonObject, "", {}});
    return model.constraints->make({ConstraintSpec::Kind::kJsonSchema, schema.dump(), {}});
  } catch (const Error& error) {
    refuse(400, error.what(), "unsupported_schema");
  }
}

}  // namespace ingot
