// Tokens and the syntax tree of the template language. Internal to src/text/jinja.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace ingot::jinja {

enum class TokenKind { kData, kBlockBegin, kBlockEnd, kPrintBegin, kPrintEnd, kName, kString, kInteger, kFloat, kOperator, kEnd };

struct Token {
  TokenKind kind;
  std::string text;  // the operator, the name, the data, the string after its escapes
  int line;
};

// Refused before rendering: what the template has that is outside the subset, or where it is wrong.
struct Refusal {
  std::string what;
  int line;
};

// Cuts as jinja2 does with trim_blocks and lstrip_blocks (transformers' settings), newlines made \n.
std::vector<Token> cut(std::string_view source);

enum class Op {
  kConst, kName, kList, kTuple, kDict, kAttribute, kItem, kSlice, kCall, kFilter, kTest,
  kAnd, kOr, kNot, kNegate, kPlus, kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower, kConcat, kChoose, kCompare
};

struct Expression {
  Op op;
  int line;
  Value value;                                                // kConst
  std::string name;                                           // a name, attribute, filter or test
  std::vector<std::unique_ptr<Expression>> parts;             // operands; null for an absent bound of a slice or a bare filter's subject
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> named;  // keyword arguments
  std::unique_ptr<Expression> spread, named_spread;           // of a call: *list, **dict
  std::vector<std::string> comparisons;                       // kCompare: one operator between two parts
};
using Expr = std::unique_ptr<Expression>;

enum class Do { kText, kPrint, kIf, kFor, kSet, kSetBlock, kMacro, kCallBlock, kWith, kFilterBlock, kScope, kBreak, kContinue };

struct Target {  // names to assign to; `attribute` for ns.attribute
  std::string name, attribute;
  std::vector<Target> parts;  // a tuple when not empty
};

struct Statement {
  Do what;
  int line;
  std::string text;                          // data; a macro's name
  Expr expression, condition;                // for: what to iterate, the filter; a call block: its call
  std::vector<Expr> expressions;             // print: one; macro, call block: defaults (null: none); with: values
  std::vector<Target> targets;               // with: one each; for, set: one; macro, call block: its parameters
  std::vector<std::unique_ptr<Statement>> body, otherwise;
  bool takes_caller = false, takes_rest = false, takes_named = false;  // a macro that says caller, varargs, kwargs
};
using Block = std::vector<std::unique_ptr<Statement>>;

Block parse(std::string_view source);  // throws Refusal

// What the evaluator knows; the parser refuses other names.
bool knows_filter(std::string_view name);
bool knows_test(std::string_view name);
bool knows_method(std::string_view name);

}  // namespace ingot::jinja
