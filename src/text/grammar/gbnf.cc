// llama.cpp's grammar notation.
#include <map>

#include "text/grammar/grammar.h"
#include "text/grammar/source_reader.h"

namespace ingot::grammar {
namespace {

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view source) : in_{source, "grammar"} {}

  Grammar parse() {
    space(true);
    while (!in_.done()) {
      std::string name = word();
      space(false);
      if (!in_.take("::=")) in_.fail("\"::=\" is expected after the rule's name");
      space(true);
      int32_t index = named(name);
      if (grammar_.rules[static_cast<size_t>(index)].body) in_.fail("the rule \"" + name + "\" is defined twice");
      ExprPtr body = alternatives(0);
      grammar_.rules[static_cast<size_t>(index)].body = body;
      if (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r') in_.fail(std::string("\"") + in_.peek() + "\" is not expected here");
      space(true);
    }
    for (const Rule& r : grammar_.rules)
      if (!r.body) bad_input("the rule \"" + r.name + "\" is used and not defined", "grammar", "define it");
    auto root = names_.find("root");
    if (root == names_.end()) bad_input("there is no rule named \"root\"", "grammar", "name the rule that a text begins with root");
    grammar_.root = root->second;
    return std::move(grammar_);
  }

 private:
  static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

  void space(bool lines) {
    for (;;) {
      char c = in_.peek();
      if (in_.done()) return;
      if (c == '#') {
        while (!in_.done() && in_.peek() != '\n' && in_.peek() != '\r') ++in_.at;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++in_.at;
      } else {
        return;
      }
    }
  }

  std::string word() {
    size_t start = in_.at;
    while (is_word(in_.peek())) ++in_.at;
    if (in_.at == start) in_.fail("the name of a rule is expected");
    return std::string(in_.source.substr(start, in_.at - start));
  }

  int32_t named(const std::string& name) {
    auto [it, fresh] = names_.emplace(name, 0);
    if (fresh) it->second = grammar_.add(name);
    return it->second;
  }

  uint32_t character() {
    if (in_.peek() != '\\') return in_.code_point();
    ++in_.at;
    char c = in_.peek();
    if (in_.done()) in_.fail("it ends within an escape");
    ++in_.at;
    switch (c) {
      case 'x': return in_.hex(2);
      case 'u': return in_.hex(4);
      case 'U': return in_.hex(8);
      case 't': return '\t';
      case 'r': return '\r';
      case 'n': return '\n';
      case '\\': case '"': case '[': case ']': case '-': case '^': return static_cast<unsigned char>(c);
      default: --in_.at; in_.fail(std::string("the escape \"\\") + c + "\" is not known");
    }
  }

  ExprPtr alternatives(int depth) {
    if (depth > kMaxNesting) in_.fail("parentheses are nested deeper than " + std::to_string(kMaxNesting));
    std::vector<ExprPtr> parts{items(depth)};
    while (in_.peek() == '|') {
      ++in_.at;
      space(true);
      parts.push_back(items(depth));
    }
    return parts.size() == 1 ? parts[0] : choice(std::move(parts));
  }

  ExprPtr items(int depth) {
    std::vector<ExprPtr> parts;
    for (;;) {
      char c = in_.peek();
      if (in_.done()) break;
      if (c == '"') {
        ++in_.at;
        std::string bytes;
        while (in_.peek() != '"' || in_.done()) {
          if (in_.done()) in_.fail("the text is not closed with \"");
          bytes += utf8_of(character());
        }
        ++in_.at;
        parts.push_back(text(std::move(bytes)));
      } else if (c == '[') {
        ++in_.at;
        bool negated = in_.take("^");
        std::vector<CodeRange> ranges;
        while (in_.peek() != ']' || in_.done()) {
          if (in_.done()) in_.fail("the class is not closed with ]");
          uint32_t low = character(), high = low;
          if (in_.peek() == '-' && in_.peek(1) != ']' && in_.peek(1) != '\0') {
            ++in_.at;
            high = character();
            if (high < low) in_.fail("the range ends before it begins");
          }
          ranges.push_back({low, high});
        }
        ++in_.at;
        parts.push_back(chars(negated ? complement(std::move(ranges)) : std::move(ranges)));
      } else if (c == '.') {
        ++in_.at;
        parts.push_back(chars(complement({})));
      } else if (c == '(') {
        ++in_.at;
        space(true);
        parts.push_back(alternatives(depth + 1));
        if (space(true); !in_.take(")")) in_.fail("\")\" is expected");
      } else if (c == '<' || c == '!') {
        in_.fail("single tokens in a grammar are not supported", "write the token's text");
      } else if (c == '*' || c == '+' || c == '?' || c == '{') {
        if (parts.empty()) in_.fail(std::string("\"") + c + "\" has nothing before it to repeat");
        ++in_.at;
        int32_t least = c == '+' ? 1 : 0, most = c == '?' ? 1 : -1;
        if (c == '{') {
          space(depth > 0);
          least = in_.peek() == ',' ? 0 : in_.number();
          most = least;
          space(depth > 0);
          if (in_.take(",")) {
            space(depth > 0);
            most = in_.digit() ? in_.number() : -1;
            space(depth > 0);
          }
          if (!in_.take("}")) in_.fail("\"}\" is expected");
          if (most >= 0 && most < least) in_.fail("the repetition ends before it begins");
        }
        parts.back() = repeat(parts.back(), least, most);
      } else if (is_word(c)) {
        size_t before = in_.at;
        std::string name = word();
        size_t after = in_.at;
        space(false);
        if (in_.source.substr(in_.at).starts_with("::=")) {  // the next rule, after a line that a parenthesis left open
          in_.at = before;
          break;
        }
        in_.at = after;
        parts.push_back(rule(named(name)));
      } else {
        break;
      }
      space(depth > 0);
    }
    return parts.size() == 1 ? parts[0] : sequence(std::move(parts));
  }


  SourceReader in_;
  Grammar grammar_;
  std::map<std::string, int32_t> names_;
};

}  // namespace

Grammar parse_gbnf(std::string_view source) { return GbnfParser(source).parse(); }

}  // namespace ingot::grammar
