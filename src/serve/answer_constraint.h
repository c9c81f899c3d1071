// What an answer must be: JSON of a schema, a grammar, a pattern, one of several texts, one call of a tool.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "runtime/constraint.h"

namespace ingot {

struct ServedModel;

// OpenAI's response_format, or the format of a response's text. None: free text. Throws Refusal 400 naming the field.
std::optional<ConstraintSpec> read_response_format(const nlohmann::ordered_json& format, const char* field_name);

// What the body asks for: response_format; vLLM's guided_json, guided_regex, guided_choice, guided_grammar and structured_outputs;
// llama.cpp's grammar and json_schema. Throws Refusal 400 for more than one.
std::optional<ConstraintSpec> read_answer_form(const nlohmann::ordered_json& body);

ConstraintSpec schema_spec(const nlohmann::ordered_json& schema);

// Throws Refusal 400 for what is wrong or outside what is known.
std::shared_ptr<TokenConstraint> answer_constraint(const ServedModel& model, const ConstraintSpec& spec);

// One call, {"name": ..., "arguments": {...}}, of any of the tools, or of the one that is named.
nlohmann::ordered_json tool_call_schema(const nlohmann::ordered_json& tools, const std::string& name);

}  // namespace ingot
