// JSON Schema as a grammar: what each kind of value looks like. docs/constraints.md lists what is known.
#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "text/grammar/json_text.h"
#include "text/grammar/schema_merge.h"
#include "text/grammar/source_reader.h"

namespace ingot::grammar {
namespace {

using Json = SchemaJson;

constexpr int kMaxDepth = 100;          // of schemas in schemas
constexpr int64_t kBound = 999999999999999;  // integers that every reader holds exactly
constexpr size_t kMaxSchemas = 20000;   // values described, counting again what allOf and anyOf repeat

class SchemaParser {
 public:
  explicit SchemaParser(const Json& root) : root_(root) {}

  Grammar parse() {
    grammar_.root = grammar_.add("root");
    ExprPtr body = value(root_, "#", 0);
    grammar_.rules[0].body = body;
    return std::move(grammar_);
  }

  Grammar parse_object() {
    grammar_.root = grammar_.add("root");
    any_value();
    grammar_.rules[0].body = rule(object_);
    return std::move(grammar_);
  }

 private:
  [[noreturn]] static void refuse(const std::string& keyword, const std::string& where, const std::string& why = "is not supported") {
    bad_input("\"" + keyword + "\" " + why, "JSON schema, " + where, "leave it out, and check the answer for it");
  }

  // What no value satisfies: a mistake, except where it rules out one of several alternatives.
  ExprPtr impossible(const std::string& why, const std::string& where) const {
    if (!alternatives_) bad_input(why, "JSON schema, " + where, "correct one of them");
    return choice({});
  }
  // REQUIRES: the schema has both.
  ExprPtr impossible(const Json& s, const std::string& low, const std::string& high, const char* what, const std::string& where) const {
    return impossible("\"" + low + "\" is " + s[low].dump() + " and \"" + high + "\" is " + s[high].dump() + ": no " + what + " satisfies both", where);
  }

  int32_t shared(int32_t& index, const char* name, ExprPtr (*make)()) {
    if (index < 0) index = grammar_.add(name, make());
    return index;
  }
  ExprPtr any_string() {
    return rule(shared(string_, "string", [] { return sequence({text("\""), repeat(json_character(), 0, -1), text("\"")}); }));
  }
  ExprPtr any_number() { return rule(shared(number_, "number", json_number)); }
  ExprPtr any_integer() { return rule(shared(integer_, "integer", json_integer)); }
  ExprPtr any_value() {
    if (value_ < 0) {
      value_ = grammar_.add("value");
      object_ = grammar_.add("object");
      array_ = grammar_.add("array");
      ExprPtr pair = rule(grammar_.add("pair", sequence({any_string(), text(":"), json_space(), rule(value_)})));
      grammar_.rules[static_cast<size_t>(object_)].body = list("{", pair, 0, -1, "}");
      grammar_.rules[static_cast<size_t>(array_)].body = list("[", rule(value_), 0, -1, "]");
      grammar_.rules[static_cast<size_t>(value_)].body =
          choice({rule(object_), rule(array_), any_string(), any_number(), text("true"), text("false"), text("null")});
    }
    return rule(value_);
  }

  // Items with commas between them, in brackets.
  static ExprPtr list(const char* open, ExprPtr item, int32_t least, int32_t most, const char* close) {
    if (most == 0) return sequence({text(open), json_space(), text(close)});
    ExprPtr more = repeat(sequence({text(","), json_space(), item}), std::max(0, least - 1), most < 0 ? -1 : most - 1);
    ExprPtr all = sequence({json_space(), item, more, json_space()});
    return sequence({text(open), least > 0 ? all : choice({json_space(), all}), text(close)});
  }

  const Json& resolve(const std::string& reference, const std::string& where) const {
    if (!reference.starts_with("#")) refuse("$ref", where, "names another document, \"" + reference + "\", which is not supported");
    try {
      return reference == "#" ? root_ : root_.at(Json::json_pointer(decoded(reference.substr(1))));
    } catch (const Json::exception&) {
      refuse("$ref", where, "names \"" + reference + "\", which is not there");
    }
  }
  static std::string decoded(const std::string& s) {
    std::string out;
    for (size_t i = 0; i < s.size(); ++i) {
      auto hex = [&](size_t k) { return k < s.size() && std::isxdigit(static_cast<unsigned char>(s[k])); };
      if (s[i] == '%' && hex(i + 1) && hex(i + 2)) {
        out += static_cast<char>(std::stoi(s.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        out += s[i];
      }
    }
    return out;
  }

  void check_keywords(const Json& s, const std::string& where) const {
    static const std::set<std::string> known = {
        "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties", "items",
        "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "anyOf", "oneOf", "allOf", "$ref", "nullable"};
    for (const auto& [key, v] : s.items())
      if (!known.contains(key) && !is_annotation(key)) refuse(key, where);
    auto whole = [&](const char* key) {
      if (s.contains(key) && (!s[key].is_number_integer() || s[key] < 0 || s[key] > kMaxRepeat))
        refuse(key, where, "must be a whole number from 0 to " + std::to_string(kMaxRepeat));
    };
    for (const char* key : {"minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"}) whole(key);
    for (const char* key : {"pattern", "format", "$ref"})
      if (s.contains(key) && !s[key].is_string()) refuse(key, where, "must be a text");
    for (const char* key : {"enum", "required", "anyOf", "oneOf", "allOf", "prefixItems"})
      if (s.contains(key) && !s[key].is_array()) refuse(key, where, "must be a list");
    for (const char* key : {"enum", "anyOf", "oneOf", "type"})
      if (s.contains(key) && s[key].is_array() && s[key].empty()) refuse(key, where, "is an empty list, which nothing satisfies");
    for (const char* key : {"properties", "patternProperties"})
      if (s.contains(key) && !s[key].is_object()) refuse(key, where, "must be an object");
    if (s.contains("uniqueItems") && s["uniqueItems"] != false) refuse("uniqueItems", where);
  }

  static int32_t count(const Json& s, const char* key, int32_t otherwise) { return s.contains(key) ? s[key].get<int32_t>() : otherwise; }

  Json joined(const Json& a, const Json& b, const std::string& where) const {
    Json both = merge_schemas(a, b, "JSON schema, " + where);
    if (both == false && a != false && b != false) impossible("the schemas that must hold together contradict each other, in \"type\", \"enum\" or \"const\"", where);
    return both;
  }

  // With allOf and references merged in, as far as they stand at the top.
  Json flat(const Json& s, const std::string& where, int depth) {
    if (depth > kMaxDepth) bad_input("schemas are nested deeper than " + std::to_string(kMaxDepth), "JSON schema, " + where, "flatten it, or use $ref at a property");
    if (!s.is_object()) return s;
    check_keywords(s, where);
    Json out = s;
    if (s.contains("$ref")) {
      out.erase("$ref");
      out = joined(out, flat(resolve(s["$ref"].get<std::string>(), where), where, depth + 1), where);
      if (!out.is_object()) return out;
    }
    if (s.contains("allOf")) {
      out.erase("allOf");
      for (const Json& part : s["allOf"]) {
        out = joined(out, flat(part, where + "/allOf", depth + 1), where + "/allOf");
        if (!out.is_object()) return out;
      }
    }
    return out;
  }

  static bool only_annotations(const Json& s, const std::string& but) {
    for (const auto& [key, v] : s.items())
      if (key != but && !is_annotation(key)) return false;
    return true;
  }

  ExprPtr value(const Json& s, const std::string& where, int depth) {
    if (++schemas_ > kMaxSchemas) bad_input("the schema describes more than " + std::to_string(kMaxSchemas) + " values", "JSON schema", "use $ref for what is repeated");
    if (depth > kMaxDepth) bad_input("schemas are nested deeper than " + std::to_string(kMaxDepth), "JSON schema, " + where, "use $ref for what is repeated");
    if (s.is_boolean()) return s.get<bool>() ? any_value() : choice({});
    if (!s.is_object()) bad_input("a schema is neither an object nor true or false", "JSON schema, " + where, "correct it");
    check_keywords(s, where);
    if (s.contains("$ref") && only_annotations(s, "$ref")) {
      std::string reference = s["$ref"].get<std::string>();
      auto [it, fresh] = references_.emplace(reference, -1);
      if (fresh) {
        int32_t index = it->second = grammar_.add(reference);
        ExprPtr body = value(resolve(reference, where), reference, depth + 1);
        grammar_.rules[static_cast<size_t>(index)].body = body;
        return rule(index);
      }
      return rule(it->second);
    }
    if (s.contains("$ref") || s.contains("allOf")) return value(flat(s, where, depth), where, depth + 1);
    for (const char* key : {"anyOf", "oneOf"})
      if (s.contains(key)) {
        Json rest = s;
        rest.erase(key);
        std::vector<ExprPtr> parts;
        for (size_t i = 0; i < s[key].size(); ++i) {
          std::string there = where + "/" + key + "/" + std::to_string(i);
          if (only_annotations(rest, "")) {
            parts.push_back(value(s[key][i], there, depth + 1));
            continue;
          }
          ++alternatives_;
          parts.push_back(value(merge_schemas(rest, flat(s[key][i], there, depth + 1), "JSON schema, " + there), there, depth + 1));
          --alternatives_;
        }
        return choice(std::move(parts));
      }
    const bool nullable = s.contains("nullable") && s["nullable"] == true;
    if (const std::string key = s.contains("const") ? "const" : "enum"; s.contains(key)) {
      const Json values = key == "const" ? Json::array({s[key]}) : s[key];
      std::vector<ExprPtr> parts;
      for (const Json& v : values)
        if (admits(s, v, where)) parts.push_back(text(v.dump()));
      if (!parts.empty()) return parts.size() == 1 ? parts[0] : choice(std::move(parts));
      if (key == "enum" && s.contains("type") && std::none_of(values.begin(), values.end(), [&](const Json& v) { return has_type(v, s["type"]); }))
        return impossible("\"enum\" is " + s["enum"].dump() + " and \"type\" is " + s["type"].dump() + ": no value satisfies both", where);
      return impossible("no value of \"" + key + "\", " + s[key].dump() + ", satisfies what stands beside it", where);
    }
    std::vector<ExprPtr> parts;
    for (const std::string& type : types(s, where)) parts.push_back(typed(s, type, where, depth));
    if (nullable) parts.push_back(text("null"));
    return parts.size() == 1 ? parts[0] : choice(std::move(parts));
  }

  // Whether a value of "const" or "enum" satisfies what stands beside it; refuses a keyword that is not judged here.
  static bool admits(const Json& s, const Json& v, const std::string& where) {
    const bool texts = v.is_string();
    const double size = texts ? static_cast<double>(std::count_if(v.get_ref<const std::string&>().begin(), v.get_ref<const std::string&>().end(), [](char c) { return (c & 0xC0) != 0x80; }))
                              : v.is_structured() ? static_cast<double>(v.size()) : 0.0;
    for (const auto& [key, want] : s.items()) {
      const bool sized = (texts && key.ends_with("Length")) || (v.is_array() && key.ends_with("Items") && key != "prefixItems" && key != "uniqueItems") ||
                         (v.is_object() && (key == "minProperties" || key == "maxProperties"));
      if (key == "type" && !has_type(v, want)) return false;
      if (key == "const" && v != want) return false;
      if (key == "enum" && std::find(want.begin(), want.end(), v) == want.end()) return false;
      if (sized && (key.starts_with("min") ? size < want.get<double>() : size > want.get<double>())) return false;
      if (v.is_number() && want.is_number()) {
        const double number = v.get<double>(), bound = want.get<double>();
        if ((key == "minimum" && number < bound) || (key == "maximum" && number > bound) || (key == "exclusiveMinimum" && number <= bound) || (key == "exclusiveMaximum" && number >= bound)) return false;
      }
      static const std::set<std::string> of_objects = {"properties", "required", "additionalProperties", "patternProperties", "propertyNames"}, of_lists = {"items", "prefixItems"};
      if ((texts && key == "pattern") || (v.is_number() && key == "multipleOf") || (v.is_object() && of_objects.contains(key)) || (v.is_array() && of_lists.contains(key)))
        refuse(key, where, "beside \"" + std::string(s.contains("const") ? "const" : "enum") + "\" is not supported");
    }
    return true;
  }

  static bool has_type(const Json& v, const Json& type) {
    auto is = [&](const Json& t) {
      if (t == "integer") return v.is_number_integer() || (v.is_number() && v.get<double>() == static_cast<double>(static_cast<int64_t>(v.get<double>())));
      return (t == "string" && v.is_string()) || (t == "number" && v.is_number()) || (t == "boolean" && v.is_boolean()) || (t == "null" && v.is_null()) ||
             (t == "object" && v.is_object()) || (t == "array" && v.is_array());
    };
    return type.is_array() ? std::any_of(type.begin(), type.end(), is) : is(type);
  }

  static std::vector<std::string> types(const Json& s, const std::string& where) {
    if (s.contains("type")) {
      std::vector<std::string> out;
      for (const Json& t : s["type"].is_array() ? s["type"] : Json::array({s["type"]})) {
        if (!t.is_string()) refuse("type", where, "must be a name or a list of names");
        out.push_back(t.get<std::string>());
      }
      return out;
    }
    auto any = [&](std::initializer_list<const char*> keys) { return std::any_of(keys.begin(), keys.end(), [&](const char* k) { return s.contains(k); }); };
    if (any({"properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties"})) return {"object"};
    if (any({"items", "prefixItems", "minItems", "maxItems"})) return {"array"};
    if (any({"pattern", "format", "minLength", "maxLength"})) return {"string"};
    if (any({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})) return {"number"};
    return {"any"};
  }

  ExprPtr typed(const Json& s, const std::string& type, const std::string& where, int depth) {
    if (type == "any") return any_value();
    if (type == "null") return text("null");
    if (type == "boolean") return choice({text("true"), text("false")});
    if (type == "string") return string(s, where);
    if (type == "integer" || type == "number") return number(s, type == "integer", where);
    if (type == "array") return array(s, where, depth);
    if (type == "object") return object(s, where, depth);
    refuse("type", where, "is \"" + type + "\"; string, number, integer, boolean, null, array and object are known");
  }

  ExprPtr string(const Json& s, const std::string& where) {
    const bool counted = s.contains("minLength") || s.contains("maxLength");
    const int32_t least = count(s, "minLength", 0), most = count(s, "maxLength", -1);
    if (most >= 0 && most < least) return impossible(s, "minLength", "maxLength", "text", where);
    if (s.contains("format") && s.contains("pattern")) refuse("pattern", where, "beside \"format\" is not supported");
    if (s.contains("format") || s.contains("pattern")) {
      const char* key = s.contains("format") ? "format" : "pattern";
      std::string said = s[key].get<std::string>();
      ExprPtr plain = key[0] == 'f' ? format_expr(said) : pattern_expr(said);
      if (!plain) refuse("format", where, "is \"" + said + "\"; known are " + known_formats());
      if (counted) {
        Lengths l = lengths_of(*plain);
        if (l.least < least || (most >= 0 && (l.most < 0 || l.most > most)))
          refuse(s.contains("maxLength") ? "maxLength" : "minLength", where, std::string("beside a \"") + key + "\" that does not keep to it is not supported");
      }
      return json_quoted(plain);
    }
    if (!counted) return any_string();
    return sequence({text("\""), repeat(json_plain_character(), least, most), text("\"")});
  }

  // A bound as an exact decimal.
  static void read_bound(const Json& s, const char* key, const std::string& where, int& places, std::map<const char*, std::string>& texts) {
    if (!s.contains(key)) return;
    if (!s[key].is_number()) refuse(key, where, "must be a number");
    std::string t = s[key].dump();
    if (t.ends_with(".0")) t.resize(t.size() - 2);
    if (t.find_first_of("eE") != std::string::npos || t.size() > 16) refuse(key, where, "is too fine or too large to be kept to");
    size_t point = t.find('.');
    if (point != std::string::npos) places = std::max(places, static_cast<int>(t.size() - point - 1));
    if (places > 8) refuse(key, where, "has more than 8 decimals");
    texts[key] = t;
  }
  static int64_t scaled(const std::string& t, int places) {
    size_t point = t.find('.');
    std::string digits = t;
    int have = 0;
    if (point != std::string::npos) {
      have = static_cast<int>(t.size() - point - 1);
      digits.erase(point, 1);
    }
    digits += std::string(static_cast<size_t>(places - have), '0');
    return std::stoll(digits);
  }

  ExprPtr number(const Json& s, bool integer, const std::string& where) {
    if (s.contains("multipleOf")) {
      if (integer && s["multipleOf"] == 1) {
      } else if (!integer && s["multipleOf"] == 1) {
        integer = true;
      } else {
        refuse("multipleOf", where);
      }
    }
    int places = 0;
    std::map<const char*, std::string> texts;
    static const char* const kKeys[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    for (const char* key : kKeys) read_bound(s, key, where, places, texts);
    if (texts.empty()) return integer ? any_integer() : any_number();
    if (!integer && (texts.contains(kKeys[2]) || texts.contains(kKeys[3]))) ++places;  // the next decimal within an open bound
    int64_t one = 1;
    for (int i = 0; i < places; ++i) one *= 10;
    int64_t low = -kBound, high = kBound;
    for (auto& [key, t] : texts)
      if (scaled(t, places) > kBound || scaled(t, places) < -kBound) refuse(key, where, "is too large to be kept to");
    const char *least = nullptr, *most = nullptr;  // the keywords that bind
    auto raise = [&](const char* key, int64_t by) {
      if (const int64_t v = texts.contains(key) ? scaled(texts[key], places) + by : low; v > low) low = v, least = key;
    };
    auto lower = [&](const char* key, int64_t by) {
      if (const int64_t v = texts.contains(key) ? scaled(texts[key], places) - by : high; v < high) high = v, most = key;
    };
    raise(kKeys[0], 0), raise(kKeys[2], 1), lower(kKeys[1], 0), lower(kKeys[3], 1);
    if (integer) {  // to whole numbers, inwards
      auto up = [&](int64_t v) { return v >= 0 ? (v + one - 1) / one : -(-v / one); };
      auto down = [&](int64_t v) { return v >= 0 ? v / one : -((-v + one - 1) / one); };
      low = up(low), high = down(high);
    }
    if (low > high && least && most) return impossible(s, least, most, integer ? "whole number" : "number", where);
    if (low > high) return impossible("\"" + std::string(least ? least : most) + "\" leaves no number of at most 15 digits", where);
    return integer ? integers_between(low, high) : decimals_between(low, high, places);
  }

  ExprPtr array(const Json& s, const std::string& where, int depth) {
    int32_t least = count(s, "minItems", 0), most = count(s, "maxItems", -1);
    if (most >= 0 && most < least) return impossible(s, "minItems", "maxItems", "list", where);
    if (s.contains("items") && s["items"].is_array()) refuse("items", where, "is a list; draft 2020-12 calls that prefixItems");
    ExprPtr item;
    auto other = [&] {
      if (!item) item = s.contains("items") ? rule(grammar_.add(where + "/items", value(s["items"], where + "/items", depth + 1))) : any_value();
      return item;
    };
    if (!s.contains("prefixItems")) {
      if (s.contains("items") && s["items"] == false) {
        if (least > 0) return impossible(s, "minItems", "items", "list", where);
        most = 0;
      }
      if (most == 0) return list("[", text(""), 0, 0, "]");
      return list("[", other(), least, most, "]");
    }
    const Json& prefix = s["prefixItems"];
    auto fixed = static_cast<int32_t>(prefix.size());
    if (most >= 0) fixed = std::min(fixed, most);
    std::vector<ExprPtr> parts{text("["), json_space()};
    for (int32_t i = 0; i < fixed; ++i) {
      if (i) parts.insert(parts.end(), {text(","), json_space()});
      parts.push_back(value(prefix[static_cast<size_t>(i)], where + "/prefixItems/" + std::to_string(i), depth + 1));
    }
    const bool closed = s.contains("items") && s["items"] == false;
    if (closed && least > fixed) return impossible("\"minItems\" is " + std::to_string(least) + ", \"prefixItems\" has " + std::to_string(prefix.size()) + " and \"items\" is false: no list satisfies them", where);
    if (!closed && s.contains("items") && most != fixed && fixed > 0)
      parts.push_back(repeat(sequence({text(","), json_space(), other()}), std::max(0, least - fixed), most < 0 ? -1 : most - fixed));
    else if (!closed && least > fixed && fixed > 0)
      parts.push_back(repeat(sequence({text(","), json_space(), other()}), least - fixed, least - fixed));
    parts.insert(parts.end(), {json_space(), text("]")});
    return sequence(std::move(parts));
  }

  ExprPtr object(const Json& s, const std::string& where, int depth) {
    static const Json none = Json::object();
    const Json& properties = s.contains("properties") ? s["properties"] : none;
    std::set<std::string> required;
    if (s.contains("required"))
      for (const Json& name : s["required"]) {
        if (!name.is_string()) refuse("required", where, "must be a list of names");
        required.insert(name.get<std::string>());
      }
    const bool named = !properties.empty() || !required.empty();
    // Further members: their names and values.
    ExprPtr key, further;
    const bool says = s.contains("additionalProperties");
    if (says && !s["additionalProperties"].is_boolean() && !s["additionalProperties"].is_object()) refuse("additionalProperties", where, "must be a schema");
    const bool closed = says ? s["additionalProperties"] == false : named || s.contains("patternProperties");
    std::vector<std::string> names;
    for (const auto& [name, schema] : properties.items()) names.push_back(name);
    for (const std::string& name : required)
      if (!properties.contains(name)) names.push_back(name);
    std::vector<ExprPtr> members;
    if (s.contains("patternProperties")) {
      if (named) refuse("patternProperties", where, "beside named properties is not supported");
      if (!closed) refuse("patternProperties", where, "beside \"additionalProperties\" is not supported");
      for (const auto& [pattern, schema] : s["patternProperties"].items())
        members.push_back(sequence({json_quoted(pattern_expr(pattern)), text(":"), json_space(), value(schema, where + "/patternProperties", depth + 1)}));
    }
    if (!closed) {
      if (s.contains("propertyNames")) {
        if (named) refuse("propertyNames", where, "beside named properties is not supported");
        Json k = flat(s["propertyNames"], where + "/propertyNames", depth + 1);
        if (k.is_object() && !k.contains("type")) k["type"] = "string";
        key = value(k, where + "/propertyNames", depth + 1);
      } else {
        key = names.empty() ? any_string() : json_quoted_except(names);
      }
      ExprPtr any = says ? value(s["additionalProperties"], where + "/additionalProperties", depth + 1) : any_value();
      members.push_back(sequence({key, text(":"), json_space(), any}));
    }
    if (!members.empty()) further = rule(grammar_.add(where + "/further", members.size() == 1 ? members[0] : choice(std::move(members))));
    const int32_t least = count(s, "minProperties", 0), most = count(s, "maxProperties", -1);
    if (most >= 0 && most < least) return impossible(s, "minProperties", "maxProperties", "object", where);
    if (!named) {
      if (!further) return least > 0 ? impossible("\"minProperties\" is " + std::to_string(least) + " and no member is allowed: no object satisfies both", where) : list("{", text(""), 0, 0, "}");
      return list("{", further, least, most, "}");
    }
    for (const std::string& name : required)
      if (says && closed && !properties.contains(name))
        return impossible("\"required\" names \"" + name + "\", which \"properties\" does not have and \"additionalProperties\" forbids", where);
    if (least > static_cast<int32_t>(required.size())) refuse("minProperties", where, "beside named properties is not supported");
    if (most >= 0 && (further || most < static_cast<int32_t>(names.size()))) refuse("maxProperties", where, "beside named properties is not supported");
    return ordered(names, properties, required, further, says ? &s["additionalProperties"] : nullptr, where, depth);
  }

  // The named members in order, those that are not required present or not, then the further ones. after[i]: what may follow when
  // members before i are dealt with and one was written; first[i]: when none was.
  ExprPtr ordered(const std::vector<std::string>& names, const Json& properties, const std::set<std::string>& required, ExprPtr further, const Json* others,
                  const std::string& where, int depth) {
    const size_t n = names.size();
    ExprPtr comma = sequence({text(","), json_space()});
    ExprPtr after = further ? repeat(sequence({comma, further}), 0, -1) : text("");
    ExprPtr first = further ? optional(sequence({further, after})) : text("");
    for (size_t i = n; i-- > 0;) {
      std::string there = where + "/properties/" + names[i];
      ExprPtr what = properties.contains(names[i]) ? value(properties[names[i]], there, depth + 1) : others ? value(*others, there, depth + 1) : any_value();
      ExprPtr member = sequence({text(Json(names[i]).dump() + ":"), json_space(), what});
      const bool must = required.contains(names[i]);
      int32_t rest = grammar_.add(there + "/after", after);
      ExprPtr begun = sequence({member, rule(rest)});
      ExprPtr next_after = sequence({comma, begun});
      first = must ? begun : choice({begun, rule(grammar_.add(there + "/first", first))});
      after = must ? next_after : choice({next_after, rule(rest)});
    }
    return sequence({text("{"), json_space(), first, json_space(), text("}")});
  }

  const Json& root_;
  Grammar grammar_;
  std::map<std::string, int32_t> references_;
  size_t schemas_ = 0;
  int alternatives_ = 0;  // of anyOf or oneOf, joined with what stands beside them, that are being read
  int32_t string_ = -1, number_ = -1, integer_ = -1, value_ = -1, object_ = -1, array_ = -1;
};

// nlohmann's parser is not recursive; ours is.
void check_depth(std::string_view source) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < source.size(); ++i) {
    char c = source[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > 500) bad_input("it is nested deeper than 500", "JSON schema", "flatten it");
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

}  // namespace

Grammar parse_json_schema(std::string_view schema) {
  if (schema.size() > (1 << 20)) bad_input("it has " + std::to_string(schema.size()) + " bytes, 1 MiB is the limit", "JSON schema", "use a smaller one");
  check_depth(schema);
  Json root;
  try {
    root = Json::parse(schema);
    if (root.is_discarded()) throw std::runtime_error("it is no JSON");
  } catch (const Json::exception& e) {
    bad_input("it is no JSON: " + std::string(e.what()), "JSON schema", "correct it");
  }
  try {
    return SchemaParser(root).parse();
  } catch (const Json::exception& e) {  // text that is no UTF-8 in a place that is written out
    bad_input(std::string("it cannot be used: ") + e.what(), "JSON schema", "correct it");
  }
}

Grammar json_object_grammar() {
  static const SchemaJson any = true;
  return SchemaParser(any).parse_object();
}

}  // namespace ingot::grammar
