// Values of the template language, with Python's meaning of equality, truth and text. Internal to src/text/jinja.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace ingot::jinja {

// Thrown while rendering; ChatTemplate turns it into an Error.
struct Failure {
  std::string what;
  bool raised = false;  // by the template itself (raise_exception)
};

// What one rendering may still spend. One unit is about one byte made or copied; a node visited costs 16.
class Budget {
 public:
  explicit Budget(uint64_t units) : all_(units), left_(units) {}
  uint64_t spent() const { return all_ - left_; }
  void charge(uint64_t units) {
    if (units > left_) throw Failure{"it makes too much text or takes too many steps"};
    left_ -= units;
  }

 private:
  uint64_t all_, left_;
};

struct List;
struct Dict;
struct Namespace;
struct Function;
struct Loop;
struct Undefined {
  std::string name;
};
struct None {};

class Value {
 public:
  using Text = std::shared_ptr<const std::string>;
  Value() : v_(Undefined{}) {}
  Value(None) : v_(None{}) {}
  Value(Undefined u) : v_(std::move(u)) {}
  Value(bool b) : v_(b) {}
  Value(int64_t i) : v_(i) {}
  Value(double d) : v_(d) {}
  Value(std::string s) : v_(std::make_shared<const std::string>(std::move(s))) {}
  Value(std::string_view s) : Value(std::string(s)) {}
  Value(const char* s) : Value(std::string(s)) {}
  template <class T>
  Value(std::shared_ptr<T> p) : v_(std::move(p)) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_none() const { return std::holds_alternative<None>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<int64_t>(v_); }
  bool is_float() const { return std::holds_alternative<double>(v_); }
  bool is_integral() const { return is_int() || is_bool(); }
  bool is_number() const { return is_integral() || is_float(); }
  bool is_string() const { return std::holds_alternative<Text>(v_) || is_markup(); }
  bool is_markup() const { return std::holds_alternative<Markup>(v_); }  // a text after `safe`: what is added to it is escaped
  const std::string& text() const { return is_markup() ? *std::get<Markup>(v_).text : *std::get<Text>(v_); }  // REQUIRES: is_string()
  Value as_markup() const {  // REQUIRES: is_string()
    Value out;
    out.v_ = Markup{is_markup() ? std::get<Markup>(v_).text : std::get<Text>(v_)};
    return out;
  }
  int64_t integer() const { return is_bool() ? std::get<bool>(v_) : std::get<int64_t>(v_); }  // REQUIRES: is_integral()
  double number() const { return is_float() ? std::get<double>(v_) : static_cast<double>(integer()); }  // REQUIRES: is_number()
  List* list() const { return pointer<List>(); }            // null when something else
  Dict* dict() const { return pointer<Dict>(); }
  Namespace* space() const { return pointer<Namespace>(); }
  Function* function() const { return pointer<Function>(); }
  Loop* loop() const { return pointer<Loop>(); }
  std::shared_ptr<Loop> shared_loop() const { return std::get<std::shared_ptr<Loop>>(v_); }  // REQUIRES: loop()
  const Undefined& undefined() const { return std::get<Undefined>(v_); }

  bool truth() const;
  const char* type_name() const;  // Python's
  int depth() const;              // of nested lists and dicts

 private:
  template <class T>
  T* pointer() const {
    auto* p = std::get_if<std::shared_ptr<T>>(&v_);
    return p ? p->get() : nullptr;
  }
  struct Markup {
    Text text;
  };
  std::variant<Undefined, None, bool, int64_t, double, Text, Markup, std::shared_ptr<List>, std::shared_ptr<Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<Function>, std::shared_ptr<Loop>>
      v_;
};

constexpr int kMaxDepth = 100;  // of values and of the template's own nesting

struct List {
  enum Kind { kList, kTuple, kIterator, kView };  // an iterator is true even when empty, and spent after one pass
  std::vector<Value> items;
  Kind kind = kList;
  int depth = 1;
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;  // in order of insertion
  std::unordered_map<std::string, size_t> index;
  int depth = 1;
  const Value* find(const Value& key) const;  // null when absent
  void set(const Value& key, Value value);
};

struct Namespace {
  Dict names;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  // The argument at `position` or called `name`; null when neither is given.
  const Value* get(size_t position, std::string_view name) const;
  void at_most(size_t positional, const char* who) const;
};

struct Function {
  std::string name;
  std::function<Value(Arguments&)> call;
};

struct Loop {
  int64_t index0 = 0;
  const std::vector<Value>* items = nullptr;  // the loop's own; null once it has ended
  int64_t length = 0;
  int depth0 = 0;
  std::vector<Value> changed;
  bool asked_changed = false;
};

Value make_list(std::vector<Value> items, List::Kind kind = List::kList);  // throws when nested too deeply
Value make_dict();
Value from_json(const nlohmann::ordered_json& json, Budget& budget, int depth = 0);
bool equal(const Value& a, const Value& b, Budget& budget);
int compare(const Value& a, const Value& b, Budget& budget);  // -1, 0, 1; throws for values without an order
std::string key_of(const Value& value);                       // equal values have equal keys; throws for what cannot be a key
void append_text(const Value& value, std::string& out, Budget& budget);  // str()
std::string to_text(const Value& value, Budget& budget);
void append_repr(const Value& value, std::string& out, Budget& budget, int depth = 0);
std::string float_text(double d);
Value escape(const Value& value, Budget& budget);  // str() for HTML, as markup; markup as it is
struct JsonStyle {
  bool ascii = false, sort_keys = false, indented = false;
  std::string indent, item = ", ", key = ": ";
};
void append_json(const Value& value, const JsonStyle& style, std::string& out, Budget& budget, int depth = 0);
// The values a `for` sees; throws for what cannot be iterated. Empties an iterator.
std::vector<Value> iterate(const Value& value, Budget& budget);
int64_t length_of(const Value& value);

// UTF-8 by code points.
int64_t count_points(std::string_view s);
size_t point_bytes(std::string_view s, size_t i);  // of the character at byte i; at least 1
int32_t point_at(std::string_view s, size_t i);
void append_point(int32_t c, std::string& out);
bool is_space_point(int32_t c);  // Python's str.isspace
std::string upper(std::string_view s);
std::string lower(std::string_view s);
std::string_view strip(std::string_view s, bool left, bool right, const std::string* chars = nullptr);

}  // namespace ingot::jinja
