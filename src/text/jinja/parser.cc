#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "text/jinja/syntax.h"

namespace ingot::jinja {
namespace {

struct Parser {
  std::vector<Token> tokens;
  size_t at = 0;
  int depth = 0, loops = 0;
  std::set<std::string> assigned{};  // names that the template gives a meaning to
  bool later = false;                // an unknown filter or test is an error only where it is reached: jinja2 has it so directly in an if
  std::set<std::string> used{};      // of caller, varargs and kwargs, those that the macro being read says

  const Token& now() const { return tokens[at]; }
  const Token& ahead() const { return tokens[std::min(at + 1, tokens.size() - 1)]; }
  bool is_op(std::string_view op) const { return now().kind == TokenKind::kOperator && now().text == op; }
  bool is_name(std::string_view name) const { return now().kind == TokenKind::kName && now().text == name; }
  bool take_op(std::string_view op) { return is_op(op) && (++at, true); }
  bool take_name(std::string_view name) { return is_name(name) && (++at, true); }
  [[noreturn]] void refuse(const std::string& what) const { throw Refusal{what, now().line}; }
  std::string shown() const {
    switch (now().kind) {
      case TokenKind::kEnd: return "the end of the template";
      case TokenKind::kBlockEnd: return "%}";
      case TokenKind::kPrintEnd: return "}}";
      case TokenKind::kString: return "the string \"" + now().text.substr(0, 40) + "\"";
      default: return "\"" + now().text.substr(0, 40) + "\"";
    }
  }
  void expect_op(std::string_view op) {
    if (!take_op(op)) refuse("\"" + std::string(op) + "\" expected, found " + shown());
  }
  std::string expect_name() {
    if (now().kind != TokenKind::kName) refuse("a name expected, found " + shown());
    return tokens[at++].text;
  }
  void expect_kind(TokenKind kind, const char* what) {
    if (now().kind != kind) refuse(std::string(what) + " expected, found " + shown());
    ++at;
  }

  struct Nested {
    Parser& p;
    explicit Nested(Parser& parser) : p(parser) {
      if (++p.depth > kMaxDepth) p.refuse("nesting deeper than " + std::to_string(kMaxDepth));
    }
    ~Nested() { --p.depth; }
  };

  Expr make(Op op) const {
    auto e = std::make_unique<Expression>();
    e->op = op;
    e->line = now().line;
    return e;
  }
  template <class... Parts>
  Expr join(Op op, Parts... parts) const {
    Expr e = make(op);
    (e->parts.push_back(std::move(parts)), ...);
    // A long chain of operators is a deep tree, which evaluation walks recursively.
    e->value = Value(int64_t{1});
    for (const Expr& part : e->parts)
      if (part && part->value.is_int() && part->op != Op::kConst) e->value = Value(std::max(e->value.integer(), part->value.integer() + 1));
    if (e->value.integer() > 400) refuse("an expression of more than 400 steps");
    return e;
  }

  Expr expression() {
    Nested nested(*this);
    Expr e = either();
    while (take_name("if")) {
      Expr condition = either();
      Expr other = take_name("else") ? expression() : nullptr;
      e = join(Op::kChoose, std::move(e), std::move(condition), std::move(other));
    }
    return e;
  }
  Expr either() {
    Expr e = both();
    while (take_name("or")) e = join(Op::kOr, std::move(e), both());
    return e;
  }
  Expr both() {
    Expr e = negation();
    while (take_name("and")) e = join(Op::kAnd, std::move(e), negation());
    return e;
  }
  Expr negation() {
    Nested nested(*this);
    if (take_name("not")) return join(Op::kNot, negation());
    return comparison();
  }
  Expr comparison() {
    Expr first = sum(), chain;
    auto add = [&](std::string op) {
      if (!chain) chain = join(Op::kCompare, std::move(first));
      chain->comparisons.push_back(std::move(op));
      chain->parts.push_back(sum());
    };
    for (;;) {
      static constexpr std::string_view kOps[] = {"==", "!=", "<", "<=", ">", ">="};
      if (auto* op = std::find_if(std::begin(kOps), std::end(kOps), [&](auto o) { return is_op(o); }); op != std::end(kOps)) ++at, add(std::string(*op));
      else if (take_name("in")) add("in");
      else if (is_name("not") && ahead().kind == TokenKind::kName && ahead().text == "in") at += 2, add("not in");
      else return chain ? std::move(chain) : std::move(first);
    }
  }
  Expr sum() {
    Expr e = concat();
    for (;;) {
      if (take_op("+")) e = join(Op::kAdd, std::move(e), concat());
      else if (take_op("-")) e = join(Op::kSubtract, std::move(e), concat());
      else return e;
    }
  }
  Expr concat() {
    Expr e = product();
    if (!is_op("~")) return e;
    e = join(Op::kConcat, std::move(e));
    while (take_op("~")) e->parts.push_back(product());
    return e;
  }
  Expr product() {
    Expr e = power();
    for (;;) {
      if (take_op("*")) e = join(Op::kMultiply, std::move(e), power());
      else if (take_op("/")) e = join(Op::kDivide, std::move(e), power());
      else if (take_op("//")) e = join(Op::kFloorDivide, std::move(e), power());
      else if (take_op("%")) e = join(Op::kModulo, std::move(e), power());
      else return e;
    }
  }
  Expr power() {
    Expr e = unary(true);
    while (take_op("**")) e = join(Op::kPower, std::move(e), unary(true));
    return e;
  }
  Expr unary(bool with_filter) {
    Nested nested(*this);
    Expr e;
    if (take_op("-")) e = join(Op::kNegate, unary(false));
    else if (take_op("+")) e = join(Op::kPlus, unary(false));
    else e = primary();
    e = postfix(std::move(e));
    return with_filter ? filters(std::move(e)) : std::move(e);
  }

  Expr constant(Value value) {
    Expr e = make(Op::kConst);
    e->value = std::move(value);
    return e;
  }
  Expr primary() {
    const Token& t = now();
    switch (t.kind) {
      case TokenKind::kName: {
        ++at;
        if (t.text == "true" || t.text == "True") return constant(Value(true));
        if (t.text == "false" || t.text == "False") return constant(Value(false));
        if (t.text == "none" || t.text == "None") return constant(Value(None{}));
        if (t.text == "caller" || t.text == "varargs" || t.text == "kwargs") used.insert(t.text);
        Expr e = make(Op::kName);
        e->name = t.text;
        return e;
      }
      case TokenKind::kString: {
        std::string text;
        while (now().kind == TokenKind::kString) text += tokens[at++].text;
        return constant(Value(std::move(text)));
      }
      case TokenKind::kInteger: ++at; return constant(Value(static_cast<int64_t>(std::atoll(t.text.c_str()))));
      case TokenKind::kFloat: {
        ++at;
        double d = 0;
        std::from_chars(t.text.data(), t.text.data() + t.text.size(), d);
        return constant(Value(d));
      }
      default: break;
    }
    if (take_op("(")) {
      Expr e = tuple(true, true);
      expect_op(")");
      return e;
    }
    if (take_op("[")) {
      Expr e = make(Op::kList);
      while (!is_op("]")) {
        if (!e->parts.empty()) expect_op(",");
        if (is_op("]")) break;
        e->parts.push_back(expression());
      }
      ++at;
      return e;
    }
    if (take_op("{")) {
      Expr e = make(Op::kDict);
      while (!is_op("}")) {
        if (!e->parts.empty()) expect_op(",");
        if (is_op("}")) break;
        e->parts.push_back(expression());
        expect_op(":");
        e->parts.push_back(expression());
      }
      ++at;
      return e;
    }
    refuse("an expression expected, found " + shown());
  }

  // One expression, or a tuple when commas follow.
  Expr tuple(bool parenthesised, bool with_choice = true) {
    std::vector<Expr> parts;
    bool comma = false;
    for (;;) {
      if (now().kind == TokenKind::kBlockEnd || now().kind == TokenKind::kPrintEnd || is_op(")") || is_name("in") || is_name("recursive")) break;
      parts.push_back(with_choice ? expression() : either());
      if (!take_op(",")) break;
      comma = true;
    }
    if (!comma && !parts.empty()) return std::move(parts[0]);
    if (parts.empty() && !parenthesised) refuse("an expression expected, found " + shown());
    Expr e = make(Op::kTuple);
    e->parts = std::move(parts);
    return e;
  }

  Expr subscript() {
    Expr start, stop, step;
    if (!is_op(":")) {
      start = expression();
      if (!is_op(":")) return start;
    }
    expect_op(":");
    if (!is_op(":") && !is_op("]")) stop = expression();
    if (take_op(":") && !is_op("]")) step = expression();
    return join(Op::kSlice, std::move(start), std::move(stop), std::move(step));
  }

  Expr postfix(Expr e) {
    for (;;) {
      if (take_op(".")) {
        if (now().kind == TokenKind::kInteger) {
          Expr index = primary();
          e = join(Op::kItem, std::move(e), std::move(index));
        } else {
          e = join(Op::kAttribute, std::move(e));
          e->name = expect_name();
        }
      } else if (take_op("[")) {
        Expr index = subscript();
        if (is_op(",")) refuse("a subscript with a comma");
        expect_op("]");
        e = join(Op::kItem, std::move(e), std::move(index));
      } else if (is_op("(")) {
        e = call(std::move(e));
      } else {
        return e;
      }
    }
  }
  void arguments(Expression& e) {
    expect_op("(");
    bool comma = false;
    while (!is_op(")")) {
      if (comma) expect_op(",");
      if (is_op(")")) break;
      if (!e.spread && !e.named_spread && take_op("*")) {
        e.spread = expression();
      } else if (!e.named_spread && take_op("**")) {
        e.named_spread = expression();
      } else if (!e.named_spread && now().kind == TokenKind::kName && ahead().kind == TokenKind::kOperator && ahead().text == "=") {
        std::string name = expect_name();
        ++at;
        e.named.emplace_back(name, expression());
      } else {
        if (!e.named.empty() || e.spread || e.named_spread) refuse("a positional argument after a named one");
        e.parts.push_back(expression());
      }
      comma = true;
    }
    ++at;
  }
  Expr call(Expr callee) {
    if (callee->op == Op::kAttribute && !knows_method(callee->name) && !(callee->parts[0]->op == Op::kName && assigned.count(callee->parts[0]->name)))
      refuse("the method " + callee->name + "()");
    static constexpr std::string_view kGlobals[] = {"range", "dict", "namespace", "raise_exception", "strftime_now", "caller"};
    if (callee->op == Op::kName && !assigned.count(callee->name) && std::find(std::begin(kGlobals), std::end(kGlobals), callee->name) == std::end(kGlobals))
      refuse("the function " + callee->name + "()");
    Expr e = join(Op::kCall, std::move(callee));
    arguments(*e);
    return e;
  }
  std::string dotted() {
    std::string name = expect_name();
    while (take_op(".")) name += "." + expect_name();
    return name;
  }
  // `e` may be null: the subject of a filter block.
  Expr filter(Expr e) {
    Expr f = join(Op::kFilter, std::move(e));
    f->name = dotted();
    if (!later && !knows_filter(f->name)) refuse("the filter \"" + f->name + "\"");
    if (is_op("(")) arguments(*f);
    return f;
  }
  Expr filters(Expr e) {
    for (;;) {
      if (take_op("|")) {
        e = filter(std::move(e));
      } else if (take_name("is")) {
        bool negated = take_name("not");
        e = join(Op::kTest, std::move(e));
        e->name = dotted();
        if (!later && !knows_test(e->name)) refuse("the test \"" + e->name + "\"");
        TokenKind k = now().kind;
        if (is_op("(")) arguments(*e);
        else if (k == TokenKind::kString || k == TokenKind::kInteger || k == TokenKind::kFloat || is_op("[") || is_op("{") ||
                 (k == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and") && !is_name("is")))
          e->parts.push_back(postfix(primary()));
        if (negated) e = join(Op::kNot, std::move(e));
      } else if (is_op("(")) {
        e = call(std::move(e));
      } else {
        return e;
      }
    }
  }

  Target target(bool with_attribute) {
    Nested nested(*this);
    auto one = [&] {
      Target t;
      if (take_op("(")) {
        t = target(false);
        expect_op(")");
        return t;
      }
      t.name = expect_name();
      if (t.name == "true" || t.name == "false" || t.name == "none" || t.name == "True" || t.name == "False" || t.name == "None") refuse("an assignment to " + t.name);
      if (with_attribute && take_op(".")) t.attribute = expect_name();
      assigned.insert(t.name);
      return t;
    };
    Target first = one();
    if (!is_op(",")) return first;
    Target all;
    all.parts.push_back(std::move(first));
    while (take_op(",")) {
      if (is_name("in") || is_op("=") || is_op(")")) break;
      all.parts.push_back(one());
    }
    return all;
  }

  std::unique_ptr<Statement> statement(Do what) const {
    auto s = std::make_unique<Statement>();
    s->what = what;
    s->line = now().line;
    return s;
  }
  void block_end() { expect_kind(TokenKind::kBlockEnd, "%}"); }

  // Statements up to one of the closing words, which is left to be read (`{%` is behind).
  Block block(std::initializer_list<std::string_view> ends, bool of_if = false) {
    Nested nested(*this);
    struct Later {
      bool &now, outer;
      ~Later() { now = outer; }
    } restore{later, later};
    later = of_if;
    Block out;
    for (;;) {
      switch (now().kind) {
        case TokenKind::kEnd:
          if (ends.size() == 0) return out;
          refuse("the block wants {% " + std::string(*(ends.end() - 1)) + " %}, found the end of the template");
        case TokenKind::kData:
          out.push_back(statement(Do::kText));
          out.back()->text = tokens[at++].text;
          break;
        case TokenKind::kPrintBegin:
          ++at;
          out.push_back(statement(Do::kPrint));
          out.back()->expression = tuple(false);
          expect_kind(TokenKind::kPrintEnd, "}}");
          break;
        default:
          expect_kind(TokenKind::kBlockBegin, "{%");
          for (std::string_view end : ends)
            if (is_name(end)) return out;
          out.push_back(tag());
      }
    }
  }
  void close(std::string_view word) {
    if (!take_name(word)) refuse("{% " + std::string(word) + " %} expected, found " + shown());
    block_end();
  }

  std::unique_ptr<Statement> tag() {
    int line = now().line;
    std::string word = expect_name();
    std::unique_ptr<Statement> s;
    if (word == "if") s = condition();
    else if (word == "for") s = loop();
    else if (word == "set") s = assignment();
    else if (word == "macro") s = macro();
    else if (word == "call") s = call_block();
    else if (word == "with") s = with();
    else if (word == "filter") s = filter_block();
    else if (word == "generation") {
      s = statement(Do::kScope);
      block_end();
      s->body = block({"endgeneration"});
      close("endgeneration");
    } else if (word == "break" || word == "continue") {
      if (loops == 0) refuse("{% " + word + " %} outside a loop");
      s = statement(word == "break" ? Do::kBreak : Do::kContinue);
      block_end();
    } else {
      throw Refusal{"the tag {% " + word + " %}", line};
    }
    s->line = line;
    return s;
  }
  std::unique_ptr<Statement> condition() {
    Nested nested(*this);
    auto s = statement(Do::kIf);
    const bool outer = std::exchange(later, true);
    s->expression = tuple(false, false);
    later = outer;
    block_end();
    s->body = block({"elif", "else", "endif"}, true);
    if (take_name("elif")) {
      s->otherwise.push_back(condition());
      return s;
    }
    if (take_name("else")) {
      block_end();
      s->otherwise = block({"endif"}, true);
    }
    close("endif");
    return s;
  }
  std::unique_ptr<Statement> loop() {
    auto s = statement(Do::kFor);
    s->targets.push_back(target(false));
    if (!take_name("in")) refuse("\"in\" expected, found " + shown());
    s->expression = tuple(false, false);
    if (take_name("if")) {
      const bool outer = std::exchange(later, false);
      s->condition = expression();
      later = outer;
    }
    if (is_name("recursive")) refuse("a recursive for");
    block_end();
    ++loops;
    s->body = block({"else", "endfor"});
    --loops;
    if (take_name("else")) {
      block_end();
      s->otherwise = block({"endfor"});
    }
    close("endfor");
    return s;
  }
  std::unique_ptr<Statement> assignment() {
    auto s = statement(Do::kSet);
    s->targets.push_back(target(true));
    if (take_op("=")) {
      s->expression = tuple(false);
      block_end();
      return s;
    }
    s->what = Do::kSetBlock;
    while (take_op("|")) s->expression = filter(std::move(s->expression));
    block_end();
    s->body = block({"endset"});
    close("endset");
    return s;
  }
  void parameters(Statement& s) {
    expect_op("(");
    while (!is_op(")")) {
      if (!s.targets.empty()) expect_op(",");
      if (is_op(")")) break;
      Target t;
      t.name = expect_name();
      assigned.insert(t.name);
      s.targets.push_back(std::move(t));
      s.expressions.push_back(take_op("=") ? expression() : nullptr);
      if (!s.expressions.back() && s.expressions.size() > 1 && s.expressions[s.expressions.size() - 2]) refuse("a parameter without a default after one with");
    }
    ++at;
  }
  void macro_body(Statement& s, std::string_view end) {
    block_end();
    int outer_loops = std::exchange(loops, 0);
    auto outer = std::exchange(used, {});
    s.body = block({end});
    loops = outer_loops;
    s.takes_caller = used.count("caller"), s.takes_rest = used.count("varargs"), s.takes_named = used.count("kwargs");
    used.merge(outer);
    close(end);
  }
  std::unique_ptr<Statement> macro() {
    auto s = statement(Do::kMacro);
    s->text = expect_name();
    assigned.insert(s->text);
    parameters(*s);
    macro_body(*s, "endmacro");
    return s;
  }
  std::unique_ptr<Statement> call_block() {
    auto s = statement(Do::kCallBlock);
    s->text = "caller";
    if (is_op("(")) parameters(*s);
    s->expression = postfix(primary());
    if (s->expression->op != Op::kCall) refuse("a call expected");
    macro_body(*s, "endcall");
    return s;
  }
  std::unique_ptr<Statement> with() {
    auto s = statement(Do::kWith);
    while (now().kind != TokenKind::kBlockEnd) {
      if (!s->targets.empty()) expect_op(",");
      s->targets.push_back(target(false));
      expect_op("=");
      s->expressions.push_back(expression());
    }
    block_end();
    s->body = block({"endwith"});
    close("endwith");
    return s;
  }
  std::unique_ptr<Statement> filter_block() {
    auto s = statement(Do::kFilterBlock);
    s->expression = filter(nullptr);
    while (take_op("|")) s->expression = filter(std::move(s->expression));
    block_end();
    s->body = block({"endfilter"});
    close("endfilter");
    return s;
  }
};

}  // namespace

Block parse(std::string_view source) {
  Parser parser{cut(source)};
  // A macro may be called above the place where it stands (from another macro), so its name is known from the start.
  for (size_t i = 0; i + 1 < parser.tokens.size(); ++i)
    if (parser.tokens[i].kind == TokenKind::kName && parser.tokens[i].text == "macro" && parser.tokens[i + 1].kind == TokenKind::kName)
      parser.assigned.insert(parser.tokens[i + 1].text);
  return parser.block({});
}

}  // namespace ingot::jinja
