// A context-free grammar over characters: what GBNF, regular expressions and JSON Schemas are turned into.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::grammar {

struct CodeRange {
  uint32_t low, high;  // code points, both included
};

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

struct Expr {
  enum class Kind { kText, kClass, kSequence, kChoice, kRepeat, kRule };
  Kind kind = Kind::kText;
  std::string text;               // kText: bytes
  std::vector<CodeRange> ranges;  // kClass: sorted, apart
  std::vector<ExprPtr> parts;     // kSequence, kChoice (none: nothing matches); kRepeat: one
  int32_t least = 0, most = -1;   // kRepeat; most -1: no bound
  int32_t rule = -1;              // kRule
};

ExprPtr text(std::string bytes);
ExprPtr chars(std::vector<CodeRange> ranges);
ExprPtr sequence(std::vector<ExprPtr> parts);
ExprPtr choice(std::vector<ExprPtr> parts);
ExprPtr repeat(ExprPtr part, int32_t least, int32_t most);
ExprPtr optional(ExprPtr part);
ExprPtr rule(int32_t index);

// Sorted and merged. The complement is within Unicode's scalar values.
std::vector<CodeRange> merged(std::vector<CodeRange> ranges);
std::vector<CodeRange> complement(std::vector<CodeRange> ranges);
std::vector<CodeRange> intersection(const std::vector<CodeRange>& a, const std::vector<CodeRange>& b);

struct Rule {
  std::string name;
  ExprPtr body;  // null while it is only named
};

struct Grammar {
  std::vector<Rule> rules;
  int32_t root = 0;

  int32_t add(std::string name, ExprPtr body = nullptr) {
    rules.push_back({std::move(name), std::move(body)});
    return static_cast<int32_t>(rules.size() - 1);
  }
};

// The syntax of llama.cpp's grammars. Throws Error (input) with the line of what is wrong.
Grammar parse_gbnf(std::string_view source);

// A regular expression in RE2's syntax that must match the whole text. Look-around, back references, \b and \p are refused by name.
Grammar parse_regex(std::string_view pattern);
// The characters that a pattern finds, as JSON Schema means it: anchored only where it says so.
ExprPtr pattern_expr(std::string_view pattern);

// Draft 2020-12, the part that describes a text one character after the other; what is not supported is refused by name and place.
// Properties come in the schema's order. An object that names properties has no others unless additionalProperties allows them.
Grammar parse_json_schema(std::string_view schema);
Grammar json_object_grammar();  // any JSON object

}  // namespace ingot::grammar
