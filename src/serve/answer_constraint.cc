#include "serve/answer_constraint.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "serve/call.h"
#include "serve/model_registry.h"
#include "serve/refusal.h"

namespace ingot {
namespace {

using FormKind = ConstraintSpec::Kind;

constexpr size_t kMostAnswerChoices = 1000;

ConstraintSpec text_form(FormKind kind, const Json& value, const char* key) {
  if (!value.is_string()) refuse_field(key, fmt::format("\"{}\" must be a text", key));
  return {kind, value.get<std::string>(), {}};
}

// A schema as an object, or written out in a text.
ConstraintSpec json_form(const Json& value, const char* key) {
  if (value.is_object()) return schema_spec(value);
  if (value.is_string()) return {FormKind::kJsonSchema, value.get<std::string>(), {}};
  refuse_field(key, fmt::format("\"{}\" must be a JSON schema", key));
}

ConstraintSpec choice_form(const Json& where, const char* key) {
  ConstraintSpec spec{FormKind::kChoice, "", texts_field(where, key, kMostAnswerChoices)};
  if (spec.choices.empty()) refuse_field(key, fmt::format("\"{}\" is empty", key));
  return spec;
}

}  // namespace

ConstraintSpec schema_spec(const Json& schema) {
  if (schema == Json{{"type", "object"}}) return {FormKind::kJsonObject, "", {}};
  return {FormKind::kJsonSchema, dump(schema), {}};
}

std::optional<ConstraintSpec> read_response_format(const Json& format, const char* field_name) {
  if (!format.is_object()) refuse_field(field_name, fmt::format("\"{}\" must be an object", field_name));
  const std::string type = text_field(format, "type", "text");
  if (type == "text") return std::nullopt;
  const Json* inner = field(format, "json_schema");
  const Json* schema = inner && inner->is_object() ? field(*inner, "schema") : field(format, "schema");
  if (type == "json_object" && !schema) return ConstraintSpec{FormKind::kJsonObject, "", {}};
  if (type != "json_schema" && type != "json_object") refuse_field(field_name, "the type must be text, json_object or json_schema");
  if (!schema || !schema->is_object()) refuse_field(field_name, "json_schema needs a \"schema\"");
  return schema_spec(*schema);
}

std::optional<ConstraintSpec> read_answer_form(const Json& body) {
  std::optional<ConstraintSpec> spec;
  const auto take = [&](std::optional<ConstraintSpec> one) {
    if (spec && one) refuse(400, "an answer can be held to one thing at a time: a schema, a grammar, a pattern or choices");
    if (one) spec = std::move(one);
  };
  const auto look = [&](const Json& where, const char* json, const char* regex, const char* choice, const char* grammar) {
    if (const Json* value = field(where, json)) take(json_form(*value, json));
    if (const Json* value = field(where, regex)) take(text_form(FormKind::kRegex, *value, regex));
    if (field(where, choice)) take(choice_form(where, choice));
    if (const Json* value = field(where, grammar); value && *value != "") take(text_form(FormKind::kGrammar, *value, grammar));
  };
  if (const Json* format = field(body, "response_format")) take(read_response_format(*format, "response_format"));
  look(body, "guided_json", "guided_regex", "guided_choice", "guided_grammar");
  if (const Json* value = field(body, "json_schema")) take(json_form(*value, "json_schema"));
  if (const Json* value = field(body, "grammar"); value && *value != "") take(text_form(FormKind::kGrammar, *value, "grammar"));
  if (const Json* outputs = field(body, "structured_outputs")) {
    if (!outputs->is_object()) refuse_field("structured_outputs", "\"structured_outputs\" must be an object");
    if (field(*outputs, "structural_tag")) refuse_field("structured_outputs", "\"structural_tag\" is not known here", "unsupported");
    if (flag_field(*outputs, "json_object", false)) take(ConstraintSpec{FormKind::kJsonObject, "", {}});
    look(*outputs, "json", "regex", "choice", "grammar");
  }
  return spec;
}

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

std::shared_ptr<TokenConstraint> answer_constraint(const ServedModel& model, const ConstraintSpec& spec) {
  if (!model.constraints) refuse(400, fmt::format("\"{}\" does not generate text", model.name), "unsupported");
  try {
    return model.constraints->make(spec);
  } catch (const Error& error) {
    if (error.kind != ErrorKind::input) throw;
    refuse(400, error.what(), "unsupported_schema");
  }
}

}  // namespace ingot
