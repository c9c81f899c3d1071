#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace ingot {
namespace {

using Json = nlohmann::ordered_json;

std::string render(const std::string& source, Json variables = {{"messages", Json::array()}}) { return ChatTemplate(source).render(variables, 0); }

std::string problem(const std::string& source, Json variables = {{"messages", Json::array()}}) {
  try {
    return "rendered: " + render(source, variables).substr(0, 100);
  } catch (const Error& error) {
    return error.problem;
  }
}

TEST(ChatTemplate, RendersAsTheReference) {
  MappedFile file(std::string(INGOT_TEST_DATA) + "/text/data/chat_templates.json");
  Json goldens = Json::parse(file.text());
  setenv("TZ", "UTC", 1);
  ASSERT_GT(goldens["cases"].size(), 60u);
  for (const Json& one : goldens["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>() + " " + one["variables"]["messages"].dump().substr(0, 200));
    ChatTemplate chat(one["template"].get<std::string>());
    if (one["text"].is_null()) EXPECT_THROW(chat.render(one["variables"], goldens["now"].get<std::time_t>()), Error);
    else EXPECT_EQ(chat.render(one["variables"], goldens["now"].get<std::time_t>()), one["text"].get<std::string>());
  }
}

TEST(ChatTemplate, NamesWhatItDoesNotKnow) {
  using ::testing::HasSubstr;
  EXPECT_THAT(problem("{% include 'x' %}"), HasSubstr("the tag {% include %}"));
  EXPECT_THAT(problem("{{ x | xmlattr }}"), HasSubstr("the filter \"xmlattr\""));
  EXPECT_THAT(problem("{{ x is filter }}"), HasSubstr("the test \"filter\""));
  EXPECT_THAT(problem("{{ x.system('ls') }}"), HasSubstr("the method system()"));
  EXPECT_THAT(problem("{{ lipsum() }}"), HasSubstr("the function lipsum()"));
  EXPECT_THAT(problem("{{ f(*x) }}"), HasSubstr("f()"));
  EXPECT_THAT(problem("{% if true %}{{ 1 | xmlattr }}{% endif %}"), HasSubstr("the filter \"xmlattr\" is not supported"));
  EXPECT_THAT(problem("{% if true %}{% for a in [1] %}{{ a | xmlattr }}{% endfor %}{% endif %}"), HasSubstr("construct"));  // at once, as the reference
  EXPECT_THAT(problem("{% for x in y recursive %}{% endfor %}"), HasSubstr("a recursive for"));
  EXPECT_THAT(problem("{{ raise_exception('no system role') }}"), HasSubstr("refuses the conversation: no system role"));
  for (const char* broken : {"{{", "{%", "{#", "{% if %}", "{% if x %}", "{{ 'a }}", "{{ a. }}", "{% raw %}", "{{ (1 }}", "{{ [1 }}", "{% endfor %}", "{{ '\\ud800' }}", "{% set = 1 %}", "{% break %}"})
    EXPECT_THROW(ChatTemplate{broken}, Error) << broken;
}

TEST(ChatTemplate, BoundsHostileTemplates) {
  using ::testing::HasSubstr;
  EXPECT_THAT(problem("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("too deeply"));
  EXPECT_THAT(problem("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"), HasSubstr("too many steps"));
  EXPECT_THAT(problem("{{ range(10 ** 12) | list }}"), HasSubstr("longer than 100000"));
  EXPECT_THAT(problem("{% set ns = namespace(s='xxxxxxxx') %}{% for a in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}"), HasSubstr("too much text"));
  EXPECT_THAT(problem("{{ 'x' * 10 ** 15 }}"), HasSubstr("too much text"));
  EXPECT_THAT(problem("{{ [[1] * 99999] * 99999 }}"), HasSubstr("too much text"));
  EXPECT_THAT(problem("{% set ns = namespace(l=[]) %}{% for a in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}"), HasSubstr("nested"));
  EXPECT_THAT(problem("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}"), HasSubstr("nested too deeply"));
  EXPECT_THAT(problem("{% set ns = namespace() %}{% for a in range(20000) %}{% set ns = namespace(p=ns) %}{% endfor %}ok"), "rendered: ok");
  EXPECT_THAT(problem("{{ 'a' | replace('', 'bbbbbbbbbb' * 9000000) }}"), HasSubstr("too much text"));
  EXPECT_THAT(problem("{{ '{:9999999}'.format(1) }}"), HasSubstr("too wide"));
  EXPECT_THAT(problem("{% macro f() %}{{ varargs | length }}{{ f(*varargs, *[1]) }}{% endmacro %}{{ f() }}"), HasSubstr("a positional argument after"));
  EXPECT_THAT(problem("{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}"), HasSubstr("too deeply"));
  EXPECT_THAT(problem("{% set ns = namespace(m='<' | safe) %}{% for a in range(60) %}{% set ns.m = ns.m + ns.m %}{% endfor %}"), HasSubstr("too much text"));
  EXPECT_THAT(problem("{{ 9223372036854775807 + 1 }}"), HasSubstr("number"));
  EXPECT_THAT(problem("{{ 'x' | indent('y' * 99999999) }}"), HasSubstr("too much text"));
  EXPECT_THAT(problem("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}"), HasSubstr("nesting deeper"));
  EXPECT_THAT(problem("{{ 1" + [] { std::string s; for (int i = 0; i < 9000; ++i) s += "+1"; return s; }() + " }}"), HasSubstr("more than 400 steps"));
  Json deep = 1;
  for (int i = 0; i < 3000; ++i) deep = Json::array({deep});
  EXPECT_THAT(problem("x", {{"messages", Json::array()}, {"tools", deep}}), HasSubstr("nested more than"));
}

// Every prefix and every single-byte change of a rich template is refused or rendered, never worse.
TEST(ChatTemplate, SurvivesDamage) {
  std::string source = "{%- macro a(x, y=1) %}{{ varargs }}{% if caller is defined %}{{ caller(x) }}{% endif %}{{ x[1:-1] | join(', ') ~ y }}{% endmacro %}{% for k, v in {'a': [1, 2.5]}.items() if v %}{{ a(v, *[loop.index]) }}{% call(q=2) a(**{'x': [1]}) %}{{ '{:>3}{q!r}'.format(1, q=q | safe) }}{% endcall %}{% else %}-{% endfor %}{# c #}{% set n = namespace(z='\\n') %}{{ n.z is string and not n.q }}";
  for (size_t i = 0; i <= source.size(); ++i) problem(source.substr(0, i));
  for (size_t i = 0; i < source.size(); ++i)
    for (char c : {'{', '}', '%', '(', ']', '|', '\'', '\xff', '\0', '-', '.'}) {
      std::string changed = source;
      changed[i] = c;
      problem(changed);
    }
}

}  // namespace
}  // namespace ingot
