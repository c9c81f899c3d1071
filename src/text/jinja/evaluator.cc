#include "text/jinja/evaluator.h"

#include <algorithm>
#include <cmath>

namespace ingot::jinja {

Value Evaluator::make_function(std::string name, std::function<Value(Arguments&)> call) {
  return Value(std::make_shared<Function>(Function{std::move(name), std::move(call)}));
}

Evaluator::Evaluator(Budget& budget, std::time_t now) : budget_(budget), now_(now) {
  globals_ = &scopes_.emplace_back(Scope{nullptr, {}});
  set_global("range", make_function("range", [this](Arguments& a) {
    a.at_most(3, "range");
    int64_t v[3] = {0, 0, 1};
    size_t n = a.positional.size();
    if (n == 0) throw Failure{"range() wants a number"};
    for (size_t i = 0; i < n; ++i) {
      if (!a.positional[i].is_integral()) throw Failure{"range() wants whole numbers"};
      v[n == 1 ? 1 : i] = a.positional[i].integer();
    }
    if (v[2] == 0) throw Failure{"range() with a step of 0"};
    std::vector<Value> items;
    for (__int128 i = v[0]; v[2] > 0 ? i < v[1] : i > v[1]; i += v[2]) {
      if (items.size() >= 100000) throw Failure{"range() is longer than 100000"};  // the reference's sandbox has the same bound
      budget_.charge(sizeof(Value));
      items.emplace_back(static_cast<int64_t>(i));
    }
    return make_list(std::move(items));
  }));
  set_global("dict", make_function("dict", [this](Arguments& a) {
    Value out = make_dict();
    if (!a.positional.empty()) {
      if (Dict* from = a.positional[0].dict()) {
        for (const auto& [k, v] : from->items) budget_.charge(128), out.dict()->set(k, v);
      } else {
        for (const Value& pair : iterate(a.positional[0], budget_)) {
          auto two = iterate(pair, budget_);
          if (two.size() != 2) throw Failure{"dict() wants pairs"};
          budget_.charge(128);
          out.dict()->set(two[0], two[1]);
        }
      }
    }
    for (auto& [k, v] : a.named) budget_.charge(128), out.dict()->set(Value(k), v);
    return out;
  }));
  set_global("namespace", make_function("namespace", [this](Arguments& a) {
    auto space = std::make_shared<Namespace>();
    budget_.charge(256);
    if (!a.positional.empty() && a.positional[0].dict())
      for (const auto& [k, v] : a.positional[0].dict()->items) space->names.set(k, v);
    for (auto& [k, v] : a.named) space->names.set(Value(k), v);
    spaces_.push_back(space);
    return Value(space);
  }));
  set_global("raise_exception", make_function("raise_exception", [this](Arguments& a) -> Value {
    const Value* message = a.get(0, "message");
    throw Failure{message ? to_text(*message, budget_) : "", true};
  }));
  set_global("strftime_now", make_function("strftime_now", [this](Arguments& a) {
    const Value* format = a.get(0, "format");
    if (!format || !format->is_string() || format->text().size() > 200) throw Failure{"strftime_now() wants a short format"};
    std::tm parts;
    localtime_r(&now_, &parts);
    char buffer[2000];
    return Value(std::string(buffer, std::strftime(buffer, sizeof buffer, format->text().c_str(), &parts)));
  }));
}

Evaluator::~Evaluator() {
  for (auto& space : spaces_) space->names = Dict{};
}

Scope* Evaluator::open(Scope* parent) {
  budget_.charge(128);
  return &scopes_.emplace_back(Scope{parent, {}});
}

void Evaluator::run(const Block& statements, std::string& out) { block(statements, open(globals_), out); }

Evaluator::Flow Evaluator::block(const Block& statements, Scope* scope, std::string& out) {
  Deeper deeper(*this);
  for (const auto& s : statements)
    if (Flow flow = statement(*s, scope, out); flow != Flow::kNext) return flow;
  return Flow::kNext;
}

Evaluator::Flow Evaluator::statement(const Statement& s, Scope* scope, std::string& out) {
  switch (s.what) {
    case Do::kText:
      budget_.charge(16 + s.text.size());
      out += s.text;
      return Flow::kNext;
    case Do::kPrint: append_text(evaluate(*s.expression, scope), out, budget_); return Flow::kNext;
    case Do::kIf: return block(evaluate(*s.expression, scope).truth() ? s.body : s.otherwise, scope, out);
    case Do::kFor: return loop(s, scope, out);
    case Do::kSet: assign(s.targets[0], evaluate(*s.expression, scope), scope); return Flow::kNext;
    case Do::kSetBlock:
    case Do::kFilterBlock: {
      std::string text;
      block(s.body, open(scope), text);
      Value value(std::move(text));
      if (s.expression) value = filtered(*s.expression, scope, &value);
      if (s.what == Do::kSetBlock) assign(s.targets[0], std::move(value), scope);
      else append_text(value, out, budget_);
      return Flow::kNext;
    }
    case Do::kMacro: macro(s, scope); return Flow::kNext;
    case Do::kCallBlock: {
      Value caller = make_function(s.text, [this, &s, scope](Arguments& a) { return call_macro(s, scope, a); });
      append_text(call(*s.expression, scope, &caller), out, budget_);
      return Flow::kNext;
    }
    case Do::kWith: {
      Scope* inner = open(scope);
      for (size_t i = 0; i < s.targets.size(); ++i) assign(s.targets[i], evaluate(*s.expressions[i], scope), inner);
      return block(s.body, inner, out);
    }
    case Do::kScope: return block(s.body, open(scope), out);
    case Do::kBreak: return Flow::kBreak;
    case Do::kContinue: return Flow::kContinue;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::loop(const Statement& s, Scope* scope, std::string& out) {
  std::vector<Value> items = iterate(evaluate(*s.expression, scope), budget_);
  if (s.condition) {
    std::vector<Value> kept;
    for (Value& item : items) {
      Scope* inner = open(scope);
      assign(s.targets[0], item, inner);
      if (evaluate(*s.condition, inner).truth()) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  bool whole_pass = false;  // jinja2 takes the else branch unless some pass reached the end of the body
  auto state = std::make_shared<Loop>();
  state->items = &items;
  state->length = static_cast<int64_t>(items.size());
  struct Ended {
    Loop& loop;
    ~Ended() { loop.items = nullptr; }
  } ended{*state};
  for (size_t i = 0; i < items.size(); ++i) {
    state->index0 = static_cast<int64_t>(i);
    Scope* inner = open(scope);
    inner->names["loop"] = Value(state);
    assign(s.targets[0], items[i], inner);
    Flow flow = block(s.body, inner, out);
    if (flow == Flow::kBreak) break;
    whole_pass = whole_pass || flow == Flow::kNext;
  }
  return whole_pass ? Flow::kNext : block(s.otherwise, open(scope), out);
}

void Evaluator::assign(const Target& target, Value value, Scope* scope) {
  if (!target.parts.empty()) {
    std::vector<Value> values = iterate(value, budget_);
    if (values.size() != target.parts.size())
      throw Failure{std::to_string(target.parts.size()) + " names are given " + std::to_string(values.size()) + " values"};
    for (size_t i = 0; i < values.size(); ++i) assign(target.parts[i], std::move(values[i]), scope);
    return;
  }
  budget_.charge(96 + target.name.size());
  if (target.attribute.empty()) {
    scope->names[target.name] = std::move(value);
    return;
  }
  Value owner = name(target.name, scope);
  if (!owner.space()) throw Failure{"cannot assign attribute on non-namespace object"};
  if (target.attribute[0] == '_') throw Failure{"a namespace cannot hold the name " + target.attribute};
  owner.space()->names.set(Value(target.attribute), std::move(value));
}

void Evaluator::macro(const Statement& s, Scope* scope) {
  scope->names[s.text] = make_function(s.text, [this, &s, scope](Arguments& a) { return call_macro(s, scope, a); });
}

Value Evaluator::call_macro(const Statement& s, Scope* scope, Arguments& a) {
  Scope* inner = open(scope);
  const size_t most = s.targets.size();
  if (a.positional.size() > most && !s.takes_rest) throw Failure{"macro " + s.text + "() takes at most " + std::to_string(most) + " arguments"};
  Value more_named = make_dict();
  if (s.takes_caller) inner->names["caller"] = Value(Undefined{"caller"});
  for (const auto& named : a.named) {
    if (std::any_of(s.targets.begin(), s.targets.end(), [&](const Target& t) { return t.name == named.first; })) continue;
    if (named.first == "caller" && s.takes_caller) inner->names["caller"] = named.second;
    else if (s.takes_named) more_named.dict()->set(Value(named.first), named.second);
    else throw Failure{"macro " + s.text + "() has no parameter " + named.first};
  }
  if (s.takes_named) inner->names["kwargs"] = more_named;
  if (s.takes_rest) {
    auto rest = a.positional.begin() + static_cast<std::ptrdiff_t>(std::min(most, a.positional.size()));
    inner->names["varargs"] = make_list({rest, a.positional.end()}, List::kTuple);
  }
  for (size_t i = 0; i < s.targets.size(); ++i) {
    const std::string& parameter = s.targets[i].name;
    const Value* given = a.get(i, parameter);
    if (given) inner->names[parameter] = *given;
    else inner->names[parameter] = s.expressions[i] ? evaluate(*s.expressions[i], inner) : Value(Undefined{parameter});
  }
  std::string out;
  block(s.body, inner, out);
  return Value(std::move(out));
}

Value Evaluator::name(const std::string& name, Scope* scope) {
  for (Scope* s = scope; s; s = s->parent)
    if (auto it = s->names.find(name); it != s->names.end()) return it->second;
  return Value(Undefined{name});
}

Value Evaluator::evaluate(const Expression& e, Scope* scope) {
  Deeper deeper(*this);
  switch (e.op) {
    case Op::kConst: return e.value;
    case Op::kName: return name(e.name, scope);
    case Op::kAnd: {
      Value left = evaluate(*e.parts[0], scope);
      return left.truth() ? evaluate(*e.parts[1], scope) : left;
    }
    case Op::kOr: {
      Value left = evaluate(*e.parts[0], scope);
      return left.truth() ? left : evaluate(*e.parts[1], scope);
    }
    case Op::kNot: return Value(!evaluate(*e.parts[0], scope).truth());
    case Op::kChoose:
      if (evaluate(*e.parts[1], scope).truth()) return evaluate(*e.parts[0], scope);
      return e.parts[2] ? evaluate(*e.parts[2], scope) : Value(Undefined{"the value of an if without else"});
    case Op::kAttribute: return attribute(evaluate(*e.parts[0], scope), e.name);
    case Op::kFilter: return filtered(e, scope, nullptr);
    case Op::kCall: return call(e, scope);
    case Op::kCompare: return compare_chain(e, scope);
    case Op::kList: case Op::kTuple: case Op::kDict: case Op::kConcat: return collect(e, scope);
    default: return operate(e, scope);
  }
}

Value Evaluator::collect(const Expression& e, Scope* scope) {
  if (e.op == Op::kConcat) {
    std::string out;
    for (const Expr& part : e.parts) append_text(evaluate(*part, scope), out, budget_);
    return Value(std::move(out));
  }
  if (e.op == Op::kDict) {
    Value dict = make_dict();
    for (size_t i = 0; i < e.parts.size(); i += 2) {
      budget_.charge(128);
      dict.dict()->set(evaluate(*e.parts[i], scope), evaluate(*e.parts[i + 1], scope));
    }
    return dict;
  }
  std::vector<Value> items;
  for (const Expr& part : e.parts) items.push_back(evaluate(*part, scope));
  budget_.charge(items.size() * sizeof(Value));
  return make_list(std::move(items), e.op == Op::kTuple ? List::kTuple : List::kList);
}

Value Evaluator::compare_chain(const Expression& e, Scope* scope) {
  Value left = evaluate(*e.parts[0], scope);
  for (size_t i = 0; i < e.comparisons.size(); ++i) {
    Value right = evaluate(*e.parts[i + 1], scope);
    const std::string& op = e.comparisons[i];
    bool holds;
    if (op == "==") holds = equal(left, right, budget_);
    else if (op == "!=") holds = !equal(left, right, budget_);
    else if (op == "in") holds = contains(right, left);
    else if (op == "not in") holds = !contains(right, left);
    else {
      int c = compare(left, right, budget_);
      holds = op == "<" ? c < 0 : op == "<=" ? c <= 0 : op == ">" ? c > 0 : c >= 0;
    }
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

bool Evaluator::contains(const Value& container, const Value& value) {
  if (container.is_string()) {
    if (!value.is_string()) throw Failure{std::string("'in' wants a text on the left, found ") + value.type_name()};
    budget_.charge(container.text().size());
    return container.text().find(value.text()) != std::string::npos;
  }
  if (Dict* dict = container.dict()) return dict->find(value) != nullptr;
  for (const Value& item : iterate(container, budget_))
    if (equal(item, value, budget_)) return true;
  return false;
}

Arguments Evaluator::arguments(const Expression& e, Scope* scope) {
  Arguments a;
  for (size_t i = 1; i < e.parts.size(); ++i) a.positional.push_back(evaluate(*e.parts[i], scope));
  for (const auto& [name, value] : e.named) a.named.emplace_back(name, evaluate(*value, scope));
  if (e.spread)
    for (Value& value : iterate(evaluate(*e.spread, scope), budget_)) a.positional.push_back(std::move(value));
  if (e.named_spread) {
    Value more = evaluate(*e.named_spread, scope);
    if (!more.dict()) throw Failure{std::string("** of a ") + more.type_name()};
    for (const auto& [key, value] : more.dict()->items) {
      if (!key.is_string()) throw Failure{"** of a mapping whose keys are no texts"};
      if (std::any_of(a.named.begin(), a.named.end(), [&key = key](const auto& named) { return named.first == key.text(); }))
        throw Failure{"two values for the argument " + key.text()};
      budget_.charge(96);
      a.named.emplace_back(key.text(), value);
    }
  }
  return a;
}

Value Evaluator::call(const Expression& e, Scope* scope, const Value* caller) {
  Value callee = evaluate(*e.parts[0], scope);
  Arguments a = arguments(e, scope);
  if (caller) a.named.emplace_back("caller", *caller);
  if (callee.is_undefined()) throw Failure{"'" + callee.undefined().name + "' is undefined"};
  if (!callee.function()) throw Failure{std::string("a ") + callee.type_name() + " is called"};
  return callee.function()->call(a);
}

// The innermost filter of a filter block has no expression of its own; `subject` stands there.
Value Evaluator::filtered(const Expression& e, Scope* scope, const Value* subject) {
  Deeper deeper(*this);
  Value value;
  if (!e.parts[0]) value = *subject;
  else if (e.parts[0]->op == Op::kFilter && subject) value = filtered(*e.parts[0], scope, subject);
  else value = evaluate(*e.parts[0], scope);
  Arguments a = arguments(e, scope);
  return filter(e.name, value, a);
}

Value Evaluator::operate(const Expression& e, Scope* scope) {
  Value a = evaluate(*e.parts[0], scope);
  switch (e.op) {
    case Op::kItem: return e.parts[1]->op == Op::kSlice ? slice(a, *e.parts[1], scope) : item(a, evaluate(*e.parts[1], scope));
    case Op::kTest: {
      Arguments given = arguments(e, scope);
      return Value(test(e.name, a, given));
    }
    case Op::kNegate:
    case Op::kPlus:
      if (!a.is_number()) throw Failure{std::string("a sign in front of a ") + a.type_name()};
      if (a.is_float()) return Value(e.op == Op::kPlus ? a.number() : -a.number());
      return arithmetic(e.op == Op::kPlus ? Op::kAdd : Op::kSubtract, Value(int64_t{0}), a);
    default: break;
  }
  Value b = evaluate(*e.parts[1], scope);
  return e.op == Op::kAdd ? add(a, b) : arithmetic(e.op, a, b);
}

Value Evaluator::add(const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    budget_.charge(a.text().size() + b.text().size());
    if (a.is_markup() || b.is_markup()) return Value(escape(a, budget_).text() + escape(b, budget_).text()).as_markup();
    return Value(a.text() + b.text());
  }
  if (List *x = a.list(), *y = b.list(); x && y && x->kind == y->kind && x->kind <= List::kTuple) {
    budget_.charge((x->items.size() + y->items.size()) * sizeof(Value));
    std::vector<Value> items = x->items;
    items.insert(items.end(), y->items.begin(), y->items.end());
    return make_list(std::move(items), x->kind);
  }
  return arithmetic(Op::kAdd, a, b);
}

Value Evaluator::arithmetic(Op op, const Value& a, const Value& b) {
  static constexpr auto name_of = [](Op o) {
    return o == Op::kAdd ? "+" : o == Op::kSubtract ? "-" : o == Op::kMultiply ? "*" : o == Op::kDivide ? "/" : o == Op::kFloorDivide ? "//" : o == Op::kModulo ? "%" : "**";
  };
  if (op == Op::kModulo && a.is_string()) return percent(a, b.list() && b.list()->kind == List::kTuple ? b.list()->items : std::vector<Value>{b});
  if (op == Op::kMultiply && (a.is_string() || a.list() || b.is_string() || b.list())) {
    const Value& what = a.is_integral() ? b : a;
    const Value& times = a.is_integral() ? a : b;
    if (times.is_integral()) {
      auto n = static_cast<uint64_t>(std::clamp<int64_t>(times.integer(), 0, int64_t{1} << 32));
      std::vector<Value> items;
      std::string text;
      if (what.is_string()) {
        budget_.charge(n * std::min<uint64_t>(what.text().size(), uint64_t{1} << 30));
        if (!what.text().empty())
          for (uint64_t i = 0; i < n; ++i) text += what.text();
        return what.is_markup() ? Value(std::move(text)).as_markup() : Value(std::move(text));
      }
      budget_.charge(n * std::min<uint64_t>(what.list()->items.size() * sizeof(Value), uint64_t{1} << 30));
      if (!what.list()->items.empty())
        for (uint64_t i = 0; i < n; ++i) items.insert(items.end(), what.list()->items.begin(), what.list()->items.end());
      return make_list(std::move(items), what.list()->kind);
    }
  }
  for (const Value* v : {&a, &b})
    if (v->is_undefined()) throw Failure{"'" + v->undefined().name + "' is undefined"};
  if (!a.is_number() || !b.is_number())
    throw Failure{std::string("unsupported operand types for ") + name_of(op) + ": " + a.type_name() + " and " + b.type_name()};
  bool whole = a.is_integral() && b.is_integral();
  if ((op == Op::kDivide || op == Op::kFloorDivide || op == Op::kModulo) && b.number() == 0) throw Failure{"division by zero"};
  if (whole && op != Op::kDivide && !(op == Op::kPower && b.integer() < 0)) {
    int64_t x = a.integer(), y = b.integer(), r = 0;
    bool over = false;
    if (op == Op::kAdd) over = __builtin_add_overflow(x, y, &r);
    else if (op == Op::kSubtract) over = __builtin_sub_overflow(x, y, &r);
    else if (op == Op::kMultiply) over = __builtin_mul_overflow(x, y, &r);
    else if (op == Op::kPower) {
      r = 1;
      if (x == 0 || x == 1) r = y == 0 ? 1 : x;
      else if (x == -1) r = y % 2 ? -1 : 1;
      else
        for (int64_t i = 0; i < y && !over; ++i) over = __builtin_mul_overflow(r, x, &r);
    } else if (y == -1) {
      if (op == Op::kFloorDivide) over = __builtin_sub_overflow(int64_t{0}, x, &r);
    } else {
      int64_t quotient = x / y, rest = x % y;
      if (rest != 0 && (rest < 0) != (y < 0)) --quotient, rest += y;
      r = op == Op::kFloorDivide ? quotient : rest;
    }
    if (over) throw Failure{"a number is too large"};
    return Value(r);
  }
  double x = a.number(), y = b.number();
  switch (op) {
    case Op::kAdd: return Value(x + y);
    case Op::kSubtract: return Value(x - y);
    case Op::kMultiply: return Value(x * y);
    case Op::kDivide: return Value(x / y);
    case Op::kPower: return Value(std::pow(x, y));
    default: break;
  }
  double rest = std::fmod(x, y);
  if (rest != 0 && (rest < 0) != (y < 0)) rest += y;
  return Value(op == Op::kModulo ? rest : std::floor((x - rest) / y + 0.5));
}

}  // namespace ingot::jinja
