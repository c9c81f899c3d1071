// Walks the syntax tree. Internal to src/text/jinja.
#pragma once

#include <ctime>
#include <deque>

#include "text/jinja/syntax.h"

namespace ingot::jinja {

struct Scope {
  Scope* parent;
  std::unordered_map<std::string, Value> names;
};

class Evaluator {
 public:
  Evaluator(Budget& budget, std::time_t now);
  ~Evaluator();
  void set_global(const std::string& name, Value value) { globals_->names[name] = std::move(value); }
  void run(const Block& block, std::string& out);

  Value filter(std::string_view name, const Value& subject, Arguments& arguments);
  bool test(std::string_view name, const Value& subject, Arguments& arguments);
  Value attribute(const Value& object, const std::string& name);          // object.name
  Value item(const Value& object, const Value& key);                      // object[key]
  Value path(const Value& object, const Value& dotted);                   // "a.b.0", as filters take it
  Value method(const Value& object, const std::string& name);             // undefined when there is none
  Value add(const Value& a, const Value& b);
  Value percent(const Value& format, const std::vector<Value>& values);   // the % of a text
  Value format(const Value& format, Arguments& arguments);                // its format()
  Budget& budget() { return budget_; }

 private:
  enum class Flow { kNext, kBreak, kContinue };
  struct Deeper;
  Scope* open(Scope* parent);
  Flow block(const Block& statements, Scope* scope, std::string& out);
  Flow statement(const Statement& s, Scope* scope, std::string& out);
  Flow loop(const Statement& s, Scope* scope, std::string& out);
  void macro(const Statement& s, Scope* scope);
  Value call_macro(const Statement& s, Scope* scope, Arguments& arguments);
  void assign(const Target& target, Value value, Scope* scope);
  Value evaluate(const Expression& e, Scope* scope);
  Value operate(const Expression& e, Scope* scope);
  Value arithmetic(Op op, const Value& a, const Value& b);
  Value compare_chain(const Expression& e, Scope* scope);
  Value collect(const Expression& e, Scope* scope);
  Value call(const Expression& e, Scope* scope, const Value* caller = nullptr);
  Value filtered(const Expression& e, Scope* scope, const Value* subject);
  Value slice(const Value& object, const Expression& bounds, Scope* scope);
  Value name(const std::string& name, Scope* scope);
  Value loop_attribute(const std::shared_ptr<Loop>& loop, const std::string& name);
  Arguments arguments(const Expression& e, Scope* scope);
  bool contains(const Value& container, const Value& value);
  Value make_function(std::string name, std::function<Value(Arguments&)> call);

  Budget& budget_;
  std::time_t now_;
  std::deque<Scope> scopes_;                        // all of them, as macros may outlive the block that made them
  std::deque<std::shared_ptr<Namespace>> spaces_;   // all of them, so that cycles and long chains are taken apart at the end
  Scope* globals_;
  int depth_ = 0;
};

// One step down; bounds the recursion and charges the node.
struct Evaluator::Deeper {
  Evaluator& e;
  explicit Deeper(Evaluator& evaluator) : e(evaluator) {
    e.budget_.charge(16);
    if (++e.depth_ > 1500) throw Failure{"it calls itself too deeply"};
  }
  ~Deeper() { --e.depth_; }
};

}  // namespace ingot::jinja
