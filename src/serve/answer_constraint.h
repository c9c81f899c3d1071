// What an answer must be: JSON of a schema, one call of a tool.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/token_constraint.h"

namespace ingot {

struct ServedModel;

// Throws Refusal 400 for a schema that is wrong or outside what is known.
std::shared_ptr<TokenConstraint> schema_constraint(const ServedModel& model, const nlohmann::ordered_json& schema);

// One call, {"name": ..., "arguments": {...}}, of any of the tools, or of the one that is named.
nlohmann::ordered_json tool_call_schema(const nlohmann::ordered_json& tools, const std::string& name);

}  // namespace ingot
