#include "text/grammar/grammar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "core/error.h"
#include "core/random.h"
#include "text/grammar/matcher.h"

namespace ingot::grammar {
namespace {

// A vocabulary of all bytes and some longer pieces that cross the ends of rules.
struct Words {
  std::vector<std::string> words;
  std::vector<std::string_view> pieces;
  std::shared_ptr<const ByteTrie> trie;
  Words() {
    for (int b = 0; b < 256; ++b) words.push_back(std::string(1, static_cast<char>(b)));
    for (const char* w : {"{\"", "\":", "\": \"", "\",", "\", \"", "\"}", "],", "true", "tru", "null", "12", "123", "-1", "0.5", ".5", "e+", " the", "the", "a\"b", "ab", "abc",
                          "\\\"", "\\u00", "\xc3\xa9", "\xe4\xbd\xa0", "\xbd\xa0\"", "\n\n", "\n  ", "}}", "\"}}", "name", "\"name\"", "2024-", "-02-", "ababab", "\" \"", ": ["})
      words.push_back(w);
    std::vector<std::pair<std::string_view, int32_t>> entries;
    for (size_t i = 0; i < words.size(); ++i) {
      pieces.push_back(words[i]);
      entries.push_back({words[i], static_cast<int32_t>(i)});
    }
    trie = std::make_shared<const ByteTrie>(ByteTrie::of(std::move(entries)));
  }
  static const Words& get() {
    static const Words one;
    return one;
  }
};

std::shared_ptr<const CompiledGrammar> compiled(const Grammar& g) {
  return std::make_shared<const CompiledGrammar>(Automaton::compile(g), Words::get().trie, Words::get().pieces, 0.0);
}

bool takes(const Grammar& g, std::string_view text) {
  Matcher m(compiled(g));
  return m.accept(text) && m.may_end();
}
bool schema_takes(const char* schema, std::string_view text) { return takes(parse_json_schema(schema), text); }
bool regex_takes(const char* pattern, std::string_view text) { return takes(parse_regex(pattern), text); }

// Walks at random through what the masks allow, and checks each mask against trying every piece.
std::string walk(const Grammar& g, uint64_t seed, int steps, bool check = true) {
  Matcher m(compiled(g));
  Random random(seed);
  std::string out;
  for (int i = 0; i < 400; ++i) {
    const auto allowed = m.allowed();
    std::vector<size_t> may;
    for (size_t w = 0; w < Words::get().words.size(); ++w) {
      bool bit = allowed[w / 64] >> (w % 64) & 1;
      if (bit) may.push_back(w);
      if (check) {
        Matcher copy(m);
        EXPECT_EQ(bit, copy.accept(Words::get().words[w])) << "after " << out << " the piece " << Words::get().words[w];
      }
    }
    EXPECT_TRUE(m.may_end() || !may.empty()) << "no way on after " << out;
    if (may.empty() || (m.may_end() && (i >= steps || random.below(4) == 0))) break;
    size_t chosen = may[random.below(may.size())];
    if (i >= steps) {  // towards the end: closing brackets first
      for (size_t w : may)
        if (std::string_view("}]\"").find(Words::get().words[w]) != std::string_view::npos) chosen = w;
    }
    EXPECT_TRUE(m.accept(Words::get().words[chosen]));
    out += Words::get().words[chosen];
  }
  return m.may_end() ? out : "";
}

TEST(Gbnf, ReadsWhatLlamaCppReads) {
  Grammar g = parse_gbnf(R"g(
# arithmetic, as in the notation's own examples
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
)g");
  EXPECT_TRUE(takes(g, "x+1=2\n"));
  EXPECT_TRUE(takes(g, "(a1 *3) -z= 7\n\n"));
  EXPECT_FALSE(takes(g, "x+=2\n"));
  EXPECT_FALSE(takes(g, "1x=2\n"));
  EXPECT_TRUE(takes(parse_gbnf("root ::= \"a\"{2,3} | [^a-c\\]]{1} | \"\\x41\\u4F60\""), "aaa"));
  EXPECT_FALSE(takes(parse_gbnf("root ::= \"a\"{2,3}"), "a"));
  EXPECT_FALSE(takes(parse_gbnf("root ::= \"a\"{2,3}"), "aaaa"));
  EXPECT_TRUE(takes(parse_gbnf("root ::= [^a-c\\]]"), "\xe4\xbd\xa0"));
  EXPECT_FALSE(takes(parse_gbnf("root ::= [^a-c\\]]"), "]"));
  EXPECT_TRUE(takes(parse_gbnf("root ::= \"\\x41\\u4F60\" . x?\nx ::= \"b\""), "A\xe4\xbd\xa0!"));
  EXPECT_TRUE(takes(parse_gbnf("root ::= (\n  \"a\" |\n  \"b\"\n) \"c\""), "bc"));
  // Nested calls and right recursion of any depth.
  Grammar nested = parse_gbnf("root ::= \"(\" root \")\" | \"\"");
  std::string deep = std::string(3000, '(') + std::string(3000, ')');
  EXPECT_TRUE(takes(nested, deep));
  EXPECT_FALSE(takes(nested, deep + ")"));
  EXPECT_TRUE(takes(parse_gbnf("root ::= \"a\" root | \"b\""), std::string(70000, 'a') + "b"));
}

TEST(Gbnf, RefusesWithAReason) {
  auto problem = [](const char* source) -> std::string {
    try {
      Automaton::compile(parse_gbnf(source));
    } catch (const Error& e) {
      return e.problem + " @ " + e.where;
    }
    return "";
  };
  EXPECT_NE(problem("root ::= x").find("\"x\""), std::string::npos);
  EXPECT_NE(problem("a ::= \"b\"").find("root"), std::string::npos);
  EXPECT_NE(problem("root ::= root \"a\" | \"b\"").find("begins with itself"), std::string::npos);
  EXPECT_NE(problem("root ::= n root \"a\" | \"b\"\nn ::= [ ]*").find("begins with itself"), std::string::npos);
  EXPECT_NE(problem("root ::= \"a\" root").find("no end"), std::string::npos);
  EXPECT_NE(problem("root ::= \"a").find("not closed"), std::string::npos);
  EXPECT_NE(problem("root ::= \"a\"\nroot ::= \"b\"").find("twice"), std::string::npos);
  EXPECT_NE(problem("root ::= (\"a\"").find("line 1"), std::string::npos);
  EXPECT_NE(problem("root ::= \"abc\"{90000}").find("states"), std::string::npos);
  EXPECT_NE(problem(("root ::= " + std::string(5000, '(')).c_str()).find("nested"), std::string::npos);
}

TEST(Regex, AgreesWithTheStandardLibrary) {
  const char* patterns[] = {"abc", "a*b+c?", "(ab|c)*d", "[a-c]{2,4}", "[^a]b", "\\d{3}-\\d{2}", "(a|b)*a(a|b){3}", "\\w+@\\w+\\.(com|org)", "a{0}b", "x(?:yz){1,2}", ".b.", "\\.\\*", "(|a)b"};
  const char* texts[] = {"", "abc", "ac", "aabbc", "b", "bc", "ababd", "cd", "d", "ab", "abcd", "aabb", "xb", "123-45", "12-345", "aaaa", "baab", "abaaab", "me@x.com", "me@x.net", "xyz", "xyzyz", "x", "zbz", ".*", "bb"};
  for (const char* pattern : patterns)
    for (const char* text : texts) EXPECT_EQ(regex_takes(pattern, text), std::regex_match(text, std::regex(pattern))) << pattern << " " << text;
  EXPECT_TRUE(regex_takes("(?i)yes|no", "YeS"));
  EXPECT_TRUE(regex_takes("^a|b$", "b"));
  EXPECT_TRUE(regex_takes(".", "\xe4\xbd\xa0"));
  EXPECT_FALSE(regex_takes(".", "\n"));
  EXPECT_TRUE(regex_takes("[[:alpha:]_]+[^\\W\\d]\\x41\\u00e9", "a_bA\xc3\xa9"));
  for (const char* bad : {"(?=a)", "(?<!a)b", "(a)\\1", "\\bx", "a**", "(", "a)", "[a", "\\p{L}", "a++", "x^y", "*"}) EXPECT_THROW(parse_regex(bad), Error) << bad;
}

TEST(JsonSchema, ObjectsArraysAndReferences) {
  const char* person = R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":120},
    "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":2}},"required":["name","age"],"additionalProperties":false})";
  EXPECT_TRUE(schema_takes(person, R"({"name": "Al \"x\" \u00e9", "age": 7})"));
  EXPECT_TRUE(schema_takes(person, R"({"name":"A","age":120,"tags":["a","b"]})"));
  EXPECT_FALSE(schema_takes(person, R"({"name":"A","age":121})"));
  EXPECT_FALSE(schema_takes(person, R"({"age":12})"));
  EXPECT_FALSE(schema_takes(person, R"({"name":"A","age":1,"tags":["a","b","a"]})"));
  EXPECT_FALSE(schema_takes(person, R"({"name":"A","age":1,"x":1})"));
  const char* open = R"({"properties":{"a":{"type":"null"},"ab":{"type":"boolean"}},"additionalProperties":{"type":"integer"}})";
  EXPECT_TRUE(schema_takes(open, R"({"a":null,"b":1,"abc":2})"));
  EXPECT_TRUE(schema_takes(open, R"({"b":1})"));
  EXPECT_TRUE(schema_takes(open, "{}"));
  EXPECT_FALSE(schema_takes(open, R"({"b":true})"));
  EXPECT_FALSE(schema_takes(open, R"({"b":1,"a":1})"));
  const char* tree = R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"number"},"kids":{"type":"array","items":{"$ref":"#/$defs/node"}}},
    "required":["v","kids"]}}})";
  EXPECT_TRUE(schema_takes(tree, R"({"v":1.5e3,"kids":[{"v":-2,"kids":[]},{"v":0,"kids":[{"v":1,"kids":[]}]}]})"));
  EXPECT_FALSE(schema_takes(tree, R"({"v":1,"kids":[{"v":2}]})"));
  const char* merged = R"({"allOf":[{"type":"object","properties":{"a":{"type":"number"}},"required":["a"]},{"properties":{"a":{"maximum":3},"b":{"const":"x"}},"required":["b"]}]})";
  EXPECT_TRUE(schema_takes(merged, R"({"a":2.5,"b":"x"})"));
  EXPECT_FALSE(schema_takes(merged, R"({"a":3.5,"b":"x"})"));
  EXPECT_FALSE(schema_takes(merged, R"({"a":1})"));
  const char* either = R"({"type":"object","properties":{"k":{}},"anyOf":[{"properties":{"k":{"type":"string"}}},{"required":["k"],"properties":{"k":{"type":"null"}}}]})";
  EXPECT_TRUE(schema_takes(either, R"({"k":null})"));
  EXPECT_TRUE(schema_takes(either, R"({"k":"s"})"));
  EXPECT_FALSE(schema_takes(either, R"({"k":1})"));
  EXPECT_TRUE(schema_takes(R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})", R"([1, "a"])"));
  EXPECT_FALSE(schema_takes(R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})", R"([1, "a", 2])"));
  EXPECT_TRUE(takes(json_object_grammar(), R"({"a": [1, {"b": "c"}], "d": null})"));
  EXPECT_FALSE(takes(json_object_grammar(), "[]"));
}

TEST(JsonSchema, NumbersKeepToTheirBounds) {
  Random random(5);
  for (auto [low, high] : std::vector<std::pair<int, int>>{{0, 9}, {5, 123}, {-17, 4}, {-250, -9}, {99, 100}, {1000, 20345}, {7, 7}}) {
    std::string schema = R"({"type":"integer","minimum":)" + std::to_string(low) + R"(,"maximum":)" + std::to_string(high) + "}";
    auto grammar = compiled(parse_json_schema(schema));
    for (int v = low - 30; v <= high + 30; v += v < low + 40 || v > high - 40 ? 1 : 37) {
      Matcher m(grammar);
      EXPECT_EQ(m.accept(std::to_string(v)) && m.may_end(), low <= v && v <= high) << schema << " " << v;
    }
    Matcher m(grammar);
    EXPECT_FALSE(m.accept("01"));
  }
  for (auto [low, high] : std::vector<std::pair<std::string, std::string>>{{"0", "1"}, {"-1", "1"}, {"0.25", "0.75"}, {"-3.5", "-0.5"}, {"9.9", "120"}}) {
    for (const char* open : {"", "exclusive"}) {
      bool strict = *open;
      std::string schema = std::string(R"({"type":"number",")") + (strict ? "exclusiveMinimum" : "minimum") + "\":" + low + ",\"" + (strict ? "exclusiveMaximum" : "maximum") + "\":" + high + "}";
      auto grammar = compiled(parse_json_schema(schema));
      double a = std::stod(low), b = std::stod(high);
      int right = 0;
      for (int i = 0; i < 3000; ++i) {
        char text[32];
        std::snprintf(text, sizeof text, i % 3 ? "%.4f" : "%.2f", a - 0.5 + random.uniform() * (b - a + 1));
        double v = std::stod(text);
        Matcher m(grammar);
        bool taken = m.accept(text) && m.may_end();
        bool within = strict ? a < v && v < b : a <= v && v <= b;
        EXPECT_TRUE(within || !taken) << schema << " " << text;
        right += within && taken;
        EXPECT_TRUE(taken || strict || !within || text[0] == '-') << schema << " " << text;
      }
      EXPECT_GT(right, 100) << schema;
    }
  }
}

TEST(JsonSchema, StringsPatternsAndFormats) {
  EXPECT_TRUE(schema_takes(R"({"type":"string","minLength":2,"maxLength":3})", "\"a\xe4\xbd\xa0\""));
  EXPECT_FALSE(schema_takes(R"({"type":"string","minLength":2,"maxLength":3})", "\"a\""));
  EXPECT_FALSE(schema_takes(R"({"type":"string","minLength":2,"maxLength":3})", "\"abcd\""));
  EXPECT_TRUE(schema_takes(R"({"type":"string","pattern":"^a\"b$"})", R"("a\"b")"));
  EXPECT_TRUE(schema_takes(R"({"type":"string","pattern":"b"})", R"("abc")"));
  EXPECT_FALSE(schema_takes(R"({"type":"string","pattern":"^b"})", R"("abc")"));
  auto format = [](const char* name, const char* text) { return schema_takes((std::string(R"({"type":"string","format":")") + name + "\"}").c_str(), "\"" + std::string(text) + "\""); };
  EXPECT_TRUE(format("date", "2024-02-29"));
  EXPECT_FALSE(format("date", "2023-02-29"));
  EXPECT_FALSE(format("date", "1900-02-29"));
  EXPECT_TRUE(format("date", "2000-02-29"));
  EXPECT_FALSE(format("date", "2024-04-31"));
  EXPECT_TRUE(format("date-time", "2024-12-31T23:59:59.25+01:00"));
  EXPECT_FALSE(format("date-time", "2024-12-31 23:59:59Z"));
  EXPECT_TRUE(format("time", "00:00:00Z"));
  EXPECT_TRUE(format("uuid", "123e4567-e89b-12d3-a456-426614174000"));
  EXPECT_TRUE(format("ipv4", "192.168.0.255"));
  EXPECT_FALSE(format("ipv4", "192.168.0.256"));
  EXPECT_TRUE(format("ipv6", "fe80::1"));
  EXPECT_TRUE(format("ipv6", "::"));
  EXPECT_FALSE(format("ipv6", "1:2:3"));
  EXPECT_TRUE(format("email", "a.b+c@mail.example.org"));
  EXPECT_TRUE(format("duration", "P1DT2H"));
  EXPECT_FALSE(format("duration", "P"));
  EXPECT_TRUE(format("uri", "https://example.org/a?b=c#d"));
}

TEST(JsonSchema, RefusesByName) {
  auto problem = [](const char* schema) -> std::string {
    try {
      Automaton::compile(parse_json_schema(schema));
    } catch (const Error& e) {
      return e.problem + " @ " + e.where;
    }
    return "";
  };
  for (const char* keyword : {"not", "if", "contains", "dependentSchemas", "unevaluatedProperties", "requird"}) {
    std::string said = problem((std::string("{\"properties\":{\"x\":{\"") + keyword + "\":{}}}}").c_str());
    EXPECT_NE(said.find("\"" + std::string(keyword) + "\""), std::string::npos) << said;
    EXPECT_NE(said.find("#/properties/x"), std::string::npos) << said;
  }
  EXPECT_NE(problem(R"({"type":"array","uniqueItems":true})").find("uniqueItems"), std::string::npos);
  EXPECT_NE(problem(R"({"type":"strin"})").find("strin"), std::string::npos);
  EXPECT_NE(problem(R"({"$ref":"other.json"})").find("other.json"), std::string::npos);
  EXPECT_NE(problem(R"({"$ref":"#/$defs/a"})").find("not there"), std::string::npos);
  EXPECT_NE(problem(R"({"$ref":"#"})").find("no end"), std::string::npos);
  EXPECT_NE(problem(R"({"type":"string","format":"klingon"})").find("klingon"), std::string::npos);
  EXPECT_NE(problem(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})").find("no end"), std::string::npos);
  EXPECT_NE(problem(R"({"type":)").find("no JSON"), std::string::npos);
  EXPECT_NE(problem((std::string(100000, '[')).c_str()).find("nested"), std::string::npos);
  EXPECT_NE(problem(R"({"allOf":[{"$ref":"#"}]})").find("nested"), std::string::npos);
}

TEST(JsonSchema, BoundsThatContradictEachOtherAreNamed) {
  auto problem = [](const std::string& schema, const std::string& more = "") -> std::string {
    try {
      Automaton::compile(parse_json_schema(R"({"properties":{"x":)" + schema + "}" + more + "}"));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  auto told = [](const std::string& both) { return "JSON schema, #/properties/x: " + both + "; correct one of them"; };
  EXPECT_EQ(problem(R"({"type":"integer","minimum":5,"maximum":3})"), told(R"("minimum" is 5 and "maximum" is 3: no whole number satisfies both)"));
  EXPECT_EQ(problem(R"({"type":"integer","minimum":0.2,"maximum":0.7})"), told(R"("minimum" is 0.2 and "maximum" is 0.7: no whole number satisfies both)"));
  EXPECT_EQ(problem(R"({"type":"number","minimum":1,"exclusiveMaximum":1})"), told(R"("minimum" is 1 and "exclusiveMaximum" is 1: no number satisfies both)"));
  EXPECT_EQ(problem(R"({"minimum":1,"exclusiveMinimum":7,"maximum":6,"exclusiveMaximum":9})"), told(R"("exclusiveMinimum" is 7 and "maximum" is 6: no number satisfies both)"));
  EXPECT_EQ(problem(R"({"type":"integer","exclusiveMaximum":-999999999999999})"), told(R"("exclusiveMaximum" leaves no number of at most 15 digits)"));
  EXPECT_EQ(problem(R"({"type":"string","minLength":5,"maxLength":3})"), told(R"("minLength" is 5 and "maxLength" is 3: no text satisfies both)"));
  EXPECT_EQ(problem(R"({"type":"array","minItems":2,"maxItems":1})"), told(R"("minItems" is 2 and "maxItems" is 1: no list satisfies both)"));
  EXPECT_EQ(problem(R"({"items":false,"minItems":1})"), told(R"("minItems" is 1 and "items" is false: no list satisfies both)"));
  EXPECT_EQ(problem(R"({"prefixItems":[true],"items":false,"minItems":2})"), told(R"("minItems" is 2, "prefixItems" has 1 and "items" is false: no list satisfies them)"));
  EXPECT_EQ(problem(R"({"type":"object","minProperties":3,"maxProperties":2})"), told(R"("minProperties" is 3 and "maxProperties" is 2: no object satisfies both)"));
  EXPECT_EQ(problem(R"({"type":"object","minProperties":1,"additionalProperties":false})"), told(R"("minProperties" is 1 and no member is allowed: no object satisfies both)"));
  EXPECT_EQ(problem(R"({"required":["a"],"additionalProperties":false})"), told(R"("required" names "a", which "properties" does not have and "additionalProperties" forbids)"));
  EXPECT_EQ(problem(R"({"type":"string","enum":[1,2]})"), told(R"("enum" is [1,2] and "type" is "string": no value satisfies both)"));
  EXPECT_EQ(problem(R"({"type":"integer","const":"a"})"), told(R"(no value of "const", "a", satisfies what stands beside it)"));
  EXPECT_EQ(problem(R"({"const":1,"enum":[2]})"), told(R"(no value of "const", 1, satisfies what stands beside it)"));
  EXPECT_NE(problem(R"({"const":"x","pattern":"^y$"})").find(R"("pattern" beside "const" is not supported)"), std::string::npos);
  EXPECT_NE(problem(R"({"enum":[]})").find("\"enum\" is an empty list"), std::string::npos);
  EXPECT_NE(problem(R"({"allOf":[{"type":"string"},{"type":"integer"}]})").find("#/properties/x/allOf: the schemas that must hold together contradict"), std::string::npos);
  EXPECT_NE(problem(R"({"allOf":[{"minimum":4},{"maximum":3}],"type":"integer"})").find(R"("minimum" is 4 and "maximum" is 3)"), std::string::npos);
  const char* some = R"({"enum":[1,4,"bbbb","aé",[1,2],null],"maximum":3,"maxLength":2,"maxItems":1})";
  for (const char* kept : {"1", "\"aé\"", "null"}) EXPECT_TRUE(schema_takes(some, kept)) << kept;
  for (const char* gone : {"4", "\"bbbb\"", "[1,2]"}) EXPECT_FALSE(schema_takes(some, gone)) << gone;
  // Beside alternatives it only rules one of them out, and a member may be forbidden.
  const char* either = R"({"type":"integer","minimum":5,"anyOf":[{"maximum":3},{"maximum":6}]})";
  EXPECT_TRUE(schema_takes(either, "6"));
  EXPECT_FALSE(schema_takes(either, "3"));
  EXPECT_TRUE(schema_takes(R"({"allOf":[{"properties":{"a":false,"b":{}}},{"properties":{"a":{"type":"string"}}}]})", "{}"));
  EXPECT_NE(problem(R"({"minimum":5,"anyOf":[{"maximum":3}]})", R"(,"required":["x"])").find("no text can ever satisfy it"), std::string::npos);
}

// Every mask is what trying each piece gives, and what a walk through masks spells satisfies what was asked.
TEST(Masks, AreWhatTryingEveryPieceGives) {
  const char* schema = R"({"type":"object","properties":{"name":{"type":"string"},"n":{"type":"integer","minimum":1,"maximum":250},"when":{"type":"string","format":"date"},
    "list":{"type":"array","items":{"anyOf":[{"type":"null"},{"type":"number"},{"type":"string","maxLength":5}]},"maxItems":3},"more":{"type":"object","additionalProperties":{"type":"boolean"}}},
    "required":["n","list"]})";
  int whole = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    std::string text = walk(parse_json_schema(schema), seed, 60);
    if (text.empty()) continue;
    ++whole;
    auto json = nlohmann::json::parse(text, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << text;
    EXPECT_GE(json.at("n").get<int>(), 1);
    EXPECT_LE(json.at("n").get<int>(), 250);
    EXPECT_LE(json.at("list").size(), 3u);
  }
  EXPECT_GT(whole, 6);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    walk(json_object_grammar(), seed, 40);
    std::string text = walk(parse_regex("(ab|the)+ ?[0-9]{1,3}"), seed, 30);
    EXPECT_TRUE(std::regex_match(text, std::regex("(ab|the)+ ?[0-9]{1,3}"))) << text;
    walk(parse_gbnf("root ::= item (\", \" item)*\nitem ::= \"\\\"\" word \"\\\"\" | \"[\" root \"]\"\nword ::= char+\nchar ::= [a-z ] | \"\\\\\\\"\""), seed, 40);
  }
}

}  // namespace
}  // namespace ingot::grammar
