#include "text/grammar/schema_merge.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace ingot::grammar {
namespace {

SchemaJson types_of(const SchemaJson& type) { return type.is_array() ? type : SchemaJson::array({type}); }

SchemaJson common_types(const SchemaJson& a, const SchemaJson& b) {
  SchemaJson out = SchemaJson::array();
  for (const auto& x : types_of(a))
    for (const auto& y : types_of(b)) {
      if (x == y) out.push_back(x);
      else if ((x == "integer" && y == "number") || (x == "number" && y == "integer")) out.push_back("integer");
    }
  return out;
}

// What a closed object does not name is forbidden; what another schema says of it falls away.
void drop_unnamed(SchemaJson& open, const SchemaJson& closed) {
  if (!open.contains("properties") || !open["properties"].is_object()) return;
  SchemaJson kept = SchemaJson::object();
  for (const auto& [name, schema] : open["properties"].items())
    if (closed.contains("properties") && closed["properties"].contains(name)) kept[name] = schema;
  open["properties"] = kept;
}

bool is_false(const SchemaJson& schema, const char* key) { return schema.contains(key) && schema[key] == false; }

}  // namespace

bool is_annotation(const std::string& keyword) {
  static const std::set<std::string> all = {"title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$defs", "definitions",
                                            "deprecated", "readOnly", "writeOnly", "discriminator", "contentEncoding", "contentMediaType"};
  return all.contains(keyword) || keyword.starts_with("x-");
}

SchemaJson merge_schemas(const SchemaJson& first, const SchemaJson& second, const std::string& where) {
  if (first == true) return second;
  if (second == true) return first;
  if (first == false || second == false) return false;
  if (!first.is_object() || !second.is_object()) bad_input("a schema is neither an object nor true or false", where, "correct the schema");
  SchemaJson a = first, b = second;
  const bool a_closed = is_false(a, "additionalProperties"), b_closed = is_false(b, "additionalProperties");
  if (a_closed) drop_unnamed(b, a);
  if (b_closed) drop_unnamed(a, b);
  if ((a_closed || b_closed) && a.contains("additionalProperties") && b.contains("additionalProperties")) a["additionalProperties"] = b["additionalProperties"] = false;
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key)) {
      a[key] = value;
      continue;
    }
    SchemaJson& mine = a[key];
    if (mine == value || is_annotation(key)) continue;
    if (key == "type") {
      mine = common_types(mine, value);
      if (mine.empty()) return false;
    } else if (key == "properties" && mine.is_object() && value.is_object()) {
      for (const auto& [name, schema] : value.items()) {
        if (!mine.contains(name)) mine[name] = schema;
        else mine[name] = SchemaJson{{"allOf", SchemaJson::array({mine[name], schema})}};
      }
    } else if (key == "required" && mine.is_array() && value.is_array()) {
      for (const auto& name : value)
        if (std::find(mine.begin(), mine.end(), name) == mine.end()) mine.push_back(name);
    } else if (key == "enum" && mine.is_array() && value.is_array()) {
      SchemaJson kept = SchemaJson::array();
      for (const auto& v : mine)
        if (std::find(value.begin(), value.end(), v) != value.end()) kept.push_back(v);
      if (kept.empty()) return false;
      mine = kept;
    } else if (key == "const") {
      return false;
    } else if ((key == "minimum" || key == "exclusiveMinimum" || key == "minLength" || key == "minItems" || key == "minProperties") && mine.is_number() && value.is_number()) {
      if (value.get<double>() > mine.get<double>()) mine = value;
    } else if ((key == "maximum" || key == "exclusiveMaximum" || key == "maxLength" || key == "maxItems" || key == "maxProperties") && mine.is_number() && value.is_number()) {
      if (value.get<double>() < mine.get<double>()) mine = value;
    } else if (key == "items" || key == "additionalProperties") {
      mine = SchemaJson{{"allOf", SchemaJson::array({mine, value})}};
    } else {
      bad_input("two different \"" + key + "\" cannot be merged", where, "say it in one place of the schema");
    }
  }
  return a;
}

}  // namespace ingot::grammar
