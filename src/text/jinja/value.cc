#include "text/jinja/value.h"

#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace ingot::jinja {

bool Value::truth() const {
  if (auto* b = std::get_if<bool>(&v_)) return *b;
  if (auto* i = std::get_if<int64_t>(&v_)) return *i != 0;
  if (auto* d = std::get_if<double>(&v_)) return *d != 0;
  if (is_string()) return !text().empty();
  if (List* l = list()) return l->kind == List::kIterator || !l->items.empty();
  if (Dict* d = dict()) return !d->items.empty();
  return !is_undefined() && !is_none();
}

const char* Value::type_name() const {
  static constexpr const char* kNames[] = {"undefined", "None", "bool", "int", "float", "str", "Markup", "list", "dict", "namespace", "function", "loop"};
  return list() && list()->kind == List::kTuple ? "tuple" : kNames[v_.index()];
}

int Value::depth() const { return list() ? list()->depth : dict() ? dict()->depth : 0; }

const Value* Dict::find(const Value& key) const {
  auto it = index.find(key_of(key));
  return it == index.end() ? nullptr : &items[it->second].second;
}

void Dict::set(const Value& key, Value value) {
  depth = std::max(depth, value.depth() + 1);
  if (depth > kMaxDepth) throw Failure{"a value is nested more than " + std::to_string(kMaxDepth) + " deep"};
  auto [it, is_new] = index.emplace(key_of(key), items.size());
  if (is_new) items.emplace_back(key, std::move(value));
  else items[it->second].second = std::move(value);
}

const Value* Arguments::get(size_t position, std::string_view name) const {
  if (position < positional.size()) return &positional[position];
  for (const auto& [n, value] : named)
    if (n == name) return &value;
  return nullptr;
}

void Arguments::at_most(size_t most, const char* who) const {
  if (positional.size() + named.size() > most) throw Failure{std::string(who) + "() takes at most " + std::to_string(most) + " arguments"};
}

Value make_list(std::vector<Value> items, List::Kind kind) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) list->depth = std::max(list->depth, item.depth() + 1);
  if (list->depth > kMaxDepth) throw Failure{"a value is nested more than " + std::to_string(kMaxDepth) + " deep"};
  list->items = std::move(items);
  list->kind = kind;
  return Value(std::move(list));
}

Value make_dict() { return Value(std::make_shared<Dict>()); }

Value from_json(const nlohmann::ordered_json& json, Budget& budget, int depth) {
  if (depth >= kMaxDepth) throw Failure{"the input is nested more than " + std::to_string(kMaxDepth) + " deep"};
  budget.charge(64);
  switch (json.type()) {
    case nlohmann::json::value_t::boolean: return Value(json.get<bool>());
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) throw Failure{"the number " + json.dump() + " is too large"};
      [[fallthrough]];
    case nlohmann::json::value_t::number_integer: return Value(json.get<int64_t>());
    case nlohmann::json::value_t::number_float: return Value(json.get<double>());
    case nlohmann::json::value_t::string:
      budget.charge(json.get_ref<const std::string&>().size());
      return Value(json.get_ref<const std::string&>());
    case nlohmann::json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(from_json(item, budget, depth + 1));
      return make_list(std::move(items));
    }
    case nlohmann::json::value_t::object: {
      Value dict = make_dict();
      for (const auto& [key, item] : json.items()) {
        budget.charge(128 + key.size());
        dict.dict()->set(Value(key), from_json(item, budget, depth + 1));
      }
      return dict;
    }
    default: return Value(None{});
  }
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.charge(8);
  if (a.is_number() && b.is_number()) return a.is_float() || b.is_float() ? a.number() == b.number() : a.integer() == b.integer();
  if (a.is_string() && b.is_string()) {
    budget.charge(std::min(a.text().size(), b.text().size()));
    return a.text() == b.text();
  }
  if (a.is_none() || a.is_undefined()) return a.is_none() ? b.is_none() : b.is_undefined();
  if (List *x = a.list(), *y = b.list(); x && y) {
    if (x == y) return true;
    if (x->kind != y->kind || x->items.size() != y->items.size()) return false;
    for (size_t i = 0; i < x->items.size(); ++i)
      if (!equal(x->items[i], y->items[i], budget)) return false;
    return true;
  }
  if (Dict *x = a.dict(), *y = b.dict(); x && y) {
    if (x == y) return true;
    if (x->items.size() != y->items.size()) return false;
    for (const auto& [key, value] : x->items) {
      const Value* other = y->find(key);
      if (!other || !equal(value, *other, budget)) return false;
    }
    return true;
  }
  if (a.space() || a.function() || a.loop()) return a.space() == b.space() && a.function() == b.function() && a.loop() == b.loop();
  return false;
}

int compare(const Value& a, const Value& b, Budget& budget) {
  budget.charge(8);
  if (a.is_number() && b.is_number()) {
    if (a.is_float() || b.is_float()) return a.number() < b.number() ? -1 : a.number() > b.number();
    return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  }
  if (a.is_string() && b.is_string()) {  // the order of UTF-8 bytes is the order of code points
    budget.charge(std::min(a.text().size(), b.text().size()));
    int c = a.text().compare(b.text());
    return c < 0 ? -1 : c > 0;
  }
  if (List *x = a.list(), *y = b.list(); x && y && x->kind == y->kind) {
    for (size_t i = 0; i < x->items.size() && i < y->items.size(); ++i)
      if (!equal(x->items[i], y->items[i], budget)) return compare(x->items[i], y->items[i], budget);
    return x->items.size() < y->items.size() ? -1 : x->items.size() > y->items.size();
  }
  throw Failure{std::string("'<' is not defined between ") + a.type_name() + " and " + b.type_name()};
}

std::string key_of(const Value& value) {
  if (value.is_string()) return "s" + value.text();
  if (value.is_none()) return "n";
  if (value.is_integral()) return "i" + std::to_string(value.integer());
  if (value.is_float()) {
    double d = value.number();
    if (d == std::floor(d) && std::abs(d) < 9e15) return "i" + std::to_string(static_cast<int64_t>(d));
    return "f" + float_text(d);
  }
  if (List* list = value.list(); list && list->kind == List::kTuple) {
    std::string key = "t";
    for (const Value& item : list->items) {
      std::string k = key_of(item);
      key += std::to_string(k.size()) + ":" + k;
    }
    return key;
  }
  if (value.is_undefined()) return "u";
  throw Failure{std::string("a ") + value.type_name() + " cannot be a key"};
}

std::vector<Value> iterate(const Value& value, Budget& budget) {
  std::vector<Value> out;
  if (value.is_undefined()) return out;
  if (List* list = value.list()) {
    budget.charge(list->items.size() * sizeof(Value));
    if (list->kind == List::kIterator) return std::exchange(list->items, {});
    return list->items;
  }
  if (Dict* dict = value.dict()) {
    budget.charge(dict->items.size() * sizeof(Value));
    for (const auto& item : dict->items) out.push_back(item.first);
    return out;
  }
  if (value.is_string()) {
    const std::string& s = value.text();
    budget.charge(s.size() * 2 * sizeof(Value));
    for (size_t i = 0; i < s.size();) {
      size_t n = point_bytes(s, i);
      out.emplace_back(s.substr(i, n));
      i += n;
    }
    return out;
  }
  throw Failure{std::string("a ") + value.type_name() + " cannot be iterated"};
}

int64_t length_of(const Value& value) {
  if (value.is_string()) return count_points(value.text());
  if (List* list = value.list(); list && list->kind != List::kIterator) return static_cast<int64_t>(list->items.size());
  if (Dict* dict = value.dict()) return static_cast<int64_t>(dict->items.size());
  if (value.is_undefined()) return 0;
  throw Failure{std::string("a ") + (value.list() ? "generator" : value.type_name()) + " has no length"};
}

size_t point_bytes(std::string_view s, size_t i) {
  auto b = static_cast<unsigned char>(s[i]);
  size_t n = b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
  return std::min(n, s.size() - i);
}

int64_t count_points(std::string_view s) {
  return std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

int32_t point_at(std::string_view s, size_t i) {
  utf8proc_int32_t c;
  auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(s.data()) + i, static_cast<utf8proc_ssize_t>(s.size() - i), &c);
  return n > 0 ? c : 0xfffd;
}

void append_point(int32_t c, std::string& out) {
  utf8proc_uint8_t bytes[4];
  auto n = utf8proc_encode_char(c, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
}

bool is_space_point(int32_t c) {
  if (c < 128) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

namespace {

template <class Change>
std::string each_point(std::string_view s, Change change) {
  std::string out;
  for (size_t i = 0; i < s.size(); i += point_bytes(s, i)) {
    if (static_cast<unsigned char>(s[i]) < 128) out += static_cast<char>(change(s[i]));
    else if (int32_t c = point_at(s, i); c == 0xdf && change('a') == 'A') out += "SS";
    else append_point(change(c), out);
  }
  return out;
}

}  // namespace

std::string upper(std::string_view s) { return each_point(s, [](int32_t c) { return utf8proc_toupper(c); }); }
std::string lower(std::string_view s) { return each_point(s, [](int32_t c) { return utf8proc_tolower(c); }); }

std::string_view strip(std::string_view s, bool left, bool right, const std::string* chars) {
  auto drop = [&](size_t i) {
    if (!chars) return is_space_point(point_at(s, i));
    return chars->find(s.substr(i, point_bytes(s, i))) != std::string::npos;
  };
  while (left && !s.empty() && drop(0)) s.remove_prefix(point_bytes(s, 0));
  while (right && !s.empty()) {
    size_t i = s.size() - 1;
    while (i > 0 && (s[i] & 0xc0) == 0x80) --i;
    if (!drop(i)) break;
    s.remove_suffix(s.size() - i);
  }
  return s;
}

}  // namespace ingot::jinja
