// Two schemas that must both hold, as one. Private to the schema's files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace ingot::grammar {

using SchemaJson = nlohmann::ordered_json;

// Throws Error (input) naming the keyword that cannot be merged. Neither may hold $ref, allOf, or anyOf on both sides.
SchemaJson merge_schemas(const SchemaJson& a, const SchemaJson& b, const std::string& where);

bool is_annotation(const std::string& keyword);

}  // namespace ingot::grammar
