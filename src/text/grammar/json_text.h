// How JSON writes strings and numbers, as expressions. Private to the schema's files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/grammar.h"

namespace ingot::grammar {

ExprPtr json_space();                       // at most a blank, or line ends with an indentation: models that may write blanks for ever do
ExprPtr json_character();                   // one of a string, in every way that JSON writes it
ExprPtr json_plain_character();             // the same without \u, for counted strings
ExprPtr json_quoted(ExprPtr plain);         // an expression over the text itself, with quotes and the escapes that JSON demands
ExprPtr json_quoted_except(const std::vector<std::string>& names);  // any string but these
ExprPtr json_number();
ExprPtr json_integer();

// Fewest and most characters of an expression's texts; most -1: no bound. REQUIRES: no rules in it.
struct Lengths {
  int64_t least, most;
};
Lengths lengths_of(const Expr& e);

// Decimals from low to high, both included, given as integers of 10^-places. integers: without a fraction.
ExprPtr integers_between(int64_t low, int64_t high);
ExprPtr decimals_between(int64_t low, int64_t high, int places);

// The text of a format of JSON Schema, or null when it is not known.
ExprPtr format_expr(std::string_view format);
std::string known_formats();

}  // namespace ingot::grammar
