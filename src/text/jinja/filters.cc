#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>

#include "text/jinja/evaluator.h"

namespace ingot::jinja {
namespace {

using Filter = Value (*)(Evaluator&, const Value&, Arguments&);

bool flag(const Arguments& a, size_t i, std::string_view name, bool otherwise = false) {
  const Value* v = a.get(i, name);
  return v ? v->truth() : otherwise;
}

int64_t number(const Arguments& a, size_t i, std::string_view name, int64_t otherwise) {
  const Value* v = a.get(i, name);
  if (!v || v->is_none()) return otherwise;
  if (!v->is_integral()) throw Failure{"the argument " + std::string(name) + " is a " + v->type_name()};
  return v->integer();
}

Value call_method(Evaluator& e, const Value& subject, const char* name, Arguments& a) {
  Value text = subject.is_string() ? subject : Value(to_text(subject, e.budget()));
  return e.method(text, name).function()->call(a);
}

Value trim(Evaluator& e, const Value& v, Arguments& a) { return call_method(e, v, "strip", a); }

Value to_json(Evaluator& e, const Value& v, Arguments& a) {
  JsonStyle style;
  style.ascii = flag(a, 0, "ensure_ascii");
  if (const Value* indent = a.get(1, "indent"); indent && !indent->is_none()) {
    style.indented = true;
    style.item = ",";
    if (indent->is_string()) style.indent = indent->text();
    else style.indent = std::string(static_cast<size_t>(std::clamp<int64_t>(number(a, 1, "indent", 0), 0, 1000)), ' ');
  }
  if (const Value* separators = a.get(2, "separators"); separators && !separators->is_none()) {
    auto two = iterate(*separators, e.budget());
    if (two.size() != 2 || !two[0].is_string() || !two[1].is_string()) throw Failure{"tojson: separators are two texts"};
    style.item = two[0].text();
    style.key = two[1].text();
  }
  style.sort_keys = flag(a, 3, "sort_keys");
  std::string out;
  append_json(v, style, out, e.budget());
  return Value(std::move(out));
}

Value join(Evaluator& e, const Value& v, Arguments& a) {
  const Value* between = a.get(0, "d");
  const Value* attribute = a.get(1, "attribute");
  std::string glue = between ? to_text(*between, e.budget()) : "", out;
  bool first = true;
  for (const Value& item : iterate(v, e.budget())) {
    e.budget().charge(glue.size());
    if (!first) out += glue;
    first = false;
    append_text(attribute ? e.path(item, *attribute) : item, out, e.budget());
  }
  return Value(std::move(out));
}

Value otherwise(Evaluator&, const Value& v, Arguments& a) {
  const Value* other = a.get(0, "default_value");
  if (v.is_undefined() || (flag(a, 1, "boolean") && !v.truth())) return other ? *other : Value("");
  return v;
}

Value to_int(Evaluator&, const Value& v, Arguments& a) {
  const Value* other = a.get(0, "default");
  Value fallback = other ? *other : Value(int64_t{0});
  int64_t base = number(a, 1, "base", 10);
  if (base < 2 || base > 36) throw Failure{"int with the base " + std::to_string(base)};
  if (v.is_integral()) return Value(v.integer());
  auto whole = [&](double d) { return std::abs(d) < 9.2e18 ? Value(static_cast<int64_t>(d)) : fallback; };
  if (v.is_float()) return whole(v.number());
  if (!v.is_string()) return fallback;
  std::string s(strip(v.text(), true, true));
  if (s.starts_with("+")) s.erase(0, 1);
  int64_t i = 0;
  auto parsed = std::from_chars(s.data(), s.data() + s.size(), i, static_cast<int>(base));
  if (!s.empty() && parsed.ec == std::errc() && parsed.ptr == s.data() + s.size()) return Value(i);
  double d = 0;
  auto real = std::from_chars(s.data(), s.data() + s.size(), d);
  return !s.empty() && real.ec == std::errc() && real.ptr == s.data() + s.size() ? whole(d) : fallback;
}

Value to_float(Evaluator&, const Value& v, Arguments& a) {
  const Value* other = a.get(0, "default");
  if (v.is_number()) return Value(v.number());
  if (v.is_string()) {
    std::string s(strip(v.text(), true, true));
    double d = 0;
    auto parsed = std::from_chars(s.data(), s.data() + s.size(), d);
    if (!s.empty() && parsed.ec == std::errc() && parsed.ptr == s.data() + s.size()) return Value(d);
  }
  return other ? *other : Value(0.0);
}

Value first(Evaluator& e, const Value& v, Arguments&) {
  auto items = iterate(v, e.budget());
  return items.empty() ? Value(Undefined{"the first of nothing"}) : items.front();
}

Value last(Evaluator& e, const Value& v, Arguments&) {
  auto items = iterate(v, e.budget());
  return items.empty() ? Value(Undefined{"the last of nothing"}) : items.back();
}

Value items_of(Evaluator& e, const Value& v, Arguments& a) {
  if (v.is_undefined()) return make_list({}, List::kIterator);
  if (!v.dict()) throw Failure{"Can only get item pairs from a mapping."};
  return make_list(iterate(e.method(v, "items").function()->call(a), e.budget()), List::kIterator);
}

// select, reject (no attribute) and selectattr, rejectattr.
template <bool kAttribute, bool kKeep>
Value choose(Evaluator& e, const Value& v, Arguments& a) {
  size_t at = kAttribute ? 1 : 0;
  if (a.positional.size() < at) throw Failure{"selectattr wants an attribute"};
  std::string name;
  Arguments rest;
  if (a.positional.size() > at) {
    name = to_text(a.positional[at], e.budget());
    if (!knows_test(name)) throw Failure{"the test \"" + name + "\" is not supported"};
    rest.positional.assign(a.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1, a.positional.end());
    rest.named = a.named;
  }
  std::vector<Value> out;
  if (!v.truth()) return make_list({}, List::kIterator);  // also none and 0, as the reference
  for (Value& item : iterate(v, e.budget())) {
    Value probe = kAttribute ? e.path(item, a.positional[0]) : item;
    if ((name.empty() ? probe.truth() : e.test(name, probe, rest)) == kKeep) out.push_back(std::move(item));
  }
  return make_list(std::move(out), List::kIterator);
}

Value map(Evaluator& e, const Value& v, Arguments& a) {
  std::vector<Value> out;
  const Value* attribute = nullptr;
  const Value* other = nullptr;
  for (const auto& [name, value] : a.named) (name == "attribute" ? attribute : other) = &value;
  std::string name;
  Arguments rest;
  if (!attribute || !a.positional.empty()) {
    attribute = nullptr;
    if (a.positional.empty()) throw Failure{"map wants a filter or an attribute"};
    name = to_text(a.positional[0], e.budget());
    if (!knows_filter(name)) throw Failure{"the filter \"" + name + "\" is not supported"};
    rest.positional.assign(a.positional.begin() + 1, a.positional.end());
    rest.named = a.named;
  }
  if (!v.truth()) return make_list({}, List::kIterator);
  for (const Value& item : iterate(v, e.budget())) {
    e.budget().charge(sizeof(Value));
    if (!attribute) {
      Arguments copy = rest;
      out.push_back(e.filter(name, item, copy));
      continue;
    }
    Value found = e.path(item, *attribute);
    out.push_back(found.is_undefined() && other ? *other : std::move(found));
  }
  return make_list(std::move(out), List::kIterator);
}

// What sort, unique, min and max compare: the attribute, texts without case.
Value sort_key(Evaluator& e, const Value& v, const Value* attribute, bool case_sensitive) {
  Value key = attribute && !attribute->is_none() ? e.path(v, *attribute) : v;
  return key.is_string() && !case_sensitive ? Value(lower(key.text())) : key;
}

std::vector<std::pair<Value, Value>> keyed(Evaluator& e, const Value& v, const Value* attribute, bool case_sensitive) {
  std::vector<std::pair<Value, Value>> out;
  for (Value& item : iterate(v, e.budget())) {
    Value key = sort_key(e, item, attribute, case_sensitive);
    e.budget().charge(64);
    out.emplace_back(std::move(key), std::move(item));
  }
  return out;
}

// Merge sort of our own making would add nothing: values without an order are found before std::stable_sort sees them.
Value sorted(Evaluator& e, std::vector<std::pair<Value, Value>> all, bool reverse) {
  for (size_t i = 1; i < all.size(); ++i) compare(all[0].first, all[i].first, e.budget());
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    int c = compare(a.first, b.first, e.budget());
    return reverse ? c > 0 : c < 0;
  });
  std::vector<Value> out;
  for (auto& item : all) out.push_back(std::move(item.second));
  return make_list(std::move(out));
}

Value sort(Evaluator& e, const Value& v, Arguments& a) {
  return sorted(e, keyed(e, v, a.get(2, "attribute"), flag(a, 1, "case_sensitive")), flag(a, 0, "reverse"));
}

Value dictsort(Evaluator& e, const Value& v, Arguments& a) {
  if (!v.dict()) throw Failure{"dictsort wants a mapping"};
  const Value* by = a.get(1, "by");
  size_t which = by && by->is_string() && by->text() == "value" ? 1 : 0;
  std::vector<std::pair<Value, Value>> all;
  for (const auto& [key, value] : v.dict()->items) {
    e.budget().charge(128);
    all.emplace_back(sort_key(e, which ? value : key, nullptr, flag(a, 0, "case_sensitive")), make_list({key, value}, List::kTuple));
  }
  return sorted(e, std::move(all), flag(a, 2, "reverse"));
}

Value unique(Evaluator& e, const Value& v, Arguments& a) {
  Dict seen;
  std::vector<Value> out;
  for (auto& [key, item] : keyed(e, v, a.get(1, "attribute"), flag(a, 0, "case_sensitive"))) {
    if (seen.find(key)) continue;
    e.budget().charge(128);
    seen.set(key, Value(None{}));
    out.push_back(std::move(item));
  }
  return make_list(std::move(out), List::kIterator);
}

template <int kSign>
Value extreme(Evaluator& e, const Value& v, Arguments& a) {
  auto all = keyed(e, v, a.get(1, "attribute"), flag(a, 0, "case_sensitive"));
  if (all.empty()) return Value(Undefined{"the extreme of nothing"});
  size_t best = 0;
  for (size_t i = 1; i < all.size(); ++i)
    if (compare(all[i].first, all[best].first, e.budget()) * kSign > 0) best = i;
  return all[best].second;
}

Value sum(Evaluator& e, const Value& v, Arguments& a) {
  const Value* attribute = a.get(0, "attribute");
  const Value* start = a.get(1, "start");
  Value total = start ? *start : Value(int64_t{0});
  for (const Value& item : iterate(v, e.budget())) total = e.add(total, attribute && !attribute->is_none() ? e.path(item, *attribute) : item);
  return total;
}

Value reverse(Evaluator& e, const Value& v, Arguments&) {
  auto items = iterate(v, e.budget());
  std::reverse(items.begin(), items.end());
  if (!v.is_string()) return make_list(std::move(items), List::kIterator);
  std::string out;
  for (const Value& item : items) out += item.text();
  return Value(std::move(out));
}

Value indent(Evaluator& e, const Value& v, Arguments& a) {
  std::string by;
  if (const Value* width = a.get(0, "width"); width && width->is_string()) by = width->text();
  else by = std::string(static_cast<size_t>(std::clamp<int64_t>(number(a, 0, "width", 4), 0, 1000)), ' ');
  Arguments none;
  auto lines = iterate(call_method(e, Value(to_text(v, e.budget()) + "\n"), "splitlines", none), e.budget());
  std::string out = flag(a, 1, "first") ? by : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    e.budget().charge(by.size() + 1);
    if (i) out += "\n";
    if (i && (flag(a, 2, "blank") || !lines[i].text().empty())) out += by;
    out += lines[i].text();
  }
  return v.is_markup() ? Value(std::move(out)).as_markup() : Value(std::move(out));
}

Value round(Evaluator&, const Value& v, Arguments& a) {
  if (!v.is_number()) throw Failure{std::string("round of a ") + v.type_name()};
  int64_t digits = number(a, 0, "precision", 0);
  if (digits < -300 || digits > 300) throw Failure{"round to " + std::to_string(digits) + " digits"};
  const Value* method = a.get(1, "method");
  std::string how = method && method->is_string() ? method->text() : "common";
  double power = std::pow(10.0, static_cast<double>(digits));
  if (how == "ceil") return Value(std::ceil(v.number() * power) / power);
  if (how == "floor") return Value(std::floor(v.number() * power) / power);
  if (v.is_integral() && digits >= 0) return Value(v.integer());
  if (digits > 15 || digits < 0) return Value(std::nearbyint(v.number() * power) / power);
  char buffer[512];  // printf rounds the exact binary value half to even, as Python does
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), v.number());
  return Value(std::strtod(buffer, nullptr));
}

Value word_title(Evaluator&, const Value& v, Arguments&) {
  if (!v.is_string()) throw Failure{"title wants a text"};
  std::string out;
  bool start = true;
  const std::string& s = v.text();
  for (size_t i = 0; i < s.size(); i += point_bytes(s, i)) {
    std::string_view one = std::string_view(s).substr(i, point_bytes(s, i));
    bool splits = is_space_point(point_at(s, i)) || std::string_view("-({[<").find(one[0]) != std::string_view::npos;
    out += start && !splits ? upper(one) : lower(one);
    start = splits;
  }
  return Value(std::move(out));
}

Value batch(Evaluator& e, const Value& v, Arguments& a) {
  int64_t count = number(a, 0, "linecount", 0);
  const Value* fill = a.get(1, "fill_with");
  if (count < 1 || count > 100000) throw Failure{"batch wants a count"};
  std::vector<Value> out, row;
  for (Value& item : iterate(v, e.budget())) {
    row.push_back(std::move(item));
    if (static_cast<int64_t>(row.size()) == count) out.push_back(make_list(std::exchange(row, {})));
  }
  if (!row.empty() && fill && !fill->is_none()) e.budget().charge(static_cast<uint64_t>(count) * 64), row.resize(static_cast<size_t>(count), *fill);
  if (!row.empty()) out.push_back(make_list(std::move(row)));
  return make_list(std::move(out), List::kIterator);
}

Value length(Evaluator&, const Value& v, Arguments&) { return Value(length_of(v)); }
Value escaped(Evaluator& e, const Value& v, Arguments&) { return escape(v, e.budget()); }
Value text_of(Evaluator& e, const Value& v, Arguments&) { return v.is_string() ? v : Value(to_text(v, e.budget())); }

const std::map<std::string_view, Filter> kFilters = {
    {"trim", trim}, {"tojson", to_json}, {"length", length}, {"count", length}, {"join", join}, {"default", otherwise}, {"d", otherwise},
    {"upper", [](Evaluator& e, const Value& v, Arguments& a) { return call_method(e, v, "upper", a); }},
    {"lower", [](Evaluator& e, const Value& v, Arguments& a) { return call_method(e, v, "lower", a); }},
    {"capitalize", [](Evaluator& e, const Value& v, Arguments& a) { return call_method(e, v, "capitalize", a); }},
    {"replace", [](Evaluator& e, const Value& v, Arguments& a) {
       for (Value& part : a.positional)
         if (!part.is_string() && !part.is_none() && &part < &a.positional[0] + 2) part = Value(to_text(part, e.budget()));
       return call_method(e, Value(to_text(v, e.budget())), "replace", a);
     }},
    {"title", word_title}, {"first", first}, {"last", last}, {"items", items_of}, {"string", text_of}, {"safe", [](Evaluator& e, const Value& v, Arguments&) { return Value(to_text(v, e.budget())).as_markup(); }},
    {"escape", escaped}, {"e", escaped}, {"int", to_int}, {"float", to_float},
    {"list", [](Evaluator& e, const Value& v, Arguments&) { return make_list(iterate(v, e.budget())); }},
    {"selectattr", choose<true, true>}, {"rejectattr", choose<true, false>}, {"select", choose<false, true>}, {"reject", choose<false, false>},
    {"map", map}, {"sort", sort}, {"dictsort", dictsort}, {"unique", unique}, {"min", extreme<-1>}, {"max", extreme<1>}, {"sum", sum},
    {"reverse", reverse}, {"indent", indent}, {"round", round}, {"batch", batch},
    {"abs", [](Evaluator&, const Value& v, Arguments&) {
       if (!v.is_number()) throw Failure{std::string("abs of a ") + v.type_name()};
       return v.is_float() ? Value(std::abs(v.number())) : Value(v.integer() < 0 ? -v.integer() : v.integer());
     }},
    {"attr", [](Evaluator& e, const Value& v, Arguments& a) {
       if (a.positional.size() != 1 || !a.positional[0].is_string()) throw Failure{"attr wants a name"};
       return v.dict() ? e.method(v, a.positional[0].text()) : e.attribute(v, a.positional[0].text());
     }},
    {"format", [](Evaluator& e, const Value& v, Arguments& a) { return e.percent(v.is_string() ? v : Value(to_text(v, e.budget())), a.positional); }},
    {"wordcount", [](Evaluator& e, const Value& v, Arguments& a) { return Value(length_of(call_method(e, v, "split", a))); }},
};

using Test = bool (*)(Evaluator&, const Value&, const Value* other);

template <int kA, int kB>
bool ordered(Evaluator& e, const Value& v, const Value* other) {
  if (!other) throw Failure{"a comparing test wants a value"};
  int c = compare(v, *other, e.budget());
  return c == kA || c == kB;
}

template <bool kSame>
bool equals(Evaluator& e, const Value& v, const Value* other) {
  if (!other) throw Failure{"a comparing test wants a value"};
  return equal(v, *other, e.budget()) == kSame;
}

bool is_in(Evaluator& e, const Value& v, const Value* other) {
  if (!other) throw Failure{"the test in wants a value"};
  if (other->is_string()) return v.is_string() && other->text().find(v.text()) != std::string::npos;
  if (Dict* dict = other->dict()) return dict->find(v) != nullptr;
  for (const Value& item : iterate(*other, e.budget()))
    if (equal(item, v, e.budget())) return true;
  return false;
}

template <int kRest>
bool divides(Evaluator&, const Value& v, const Value* other) {
  if (!v.is_integral() || (other && (!other->is_integral() || other->integer() == 0))) throw Failure{"the test wants whole numbers"};
  if (other && other->integer() == -1) return kRest == 0;
  return (v.integer() % (other ? other->integer() : 2) != 0) == (kRest != 0);
}

const std::map<std::string_view, Test> kTests = {
    {"defined", [](Evaluator&, const Value& v, const Value*) { return !v.is_undefined(); }},
    {"undefined", [](Evaluator&, const Value& v, const Value*) { return v.is_undefined(); }},
    {"none", [](Evaluator&, const Value& v, const Value*) { return v.is_none(); }},
    {"boolean", [](Evaluator&, const Value& v, const Value*) { return v.is_bool(); }},
    {"true", [](Evaluator&, const Value& v, const Value*) { return v.is_bool() && v.truth(); }},
    {"false", [](Evaluator&, const Value& v, const Value*) { return v.is_bool() && !v.truth(); }},
    {"integer", [](Evaluator&, const Value& v, const Value*) { return v.is_int(); }},
    {"float", [](Evaluator&, const Value& v, const Value*) { return v.is_float(); }},
    {"number", [](Evaluator&, const Value& v, const Value*) { return v.is_number(); }},
    {"string", [](Evaluator&, const Value& v, const Value*) { return v.is_string(); }},
    {"mapping", [](Evaluator&, const Value& v, const Value*) { return v.dict() != nullptr; }},
    {"iterable", [](Evaluator&, const Value& v, const Value*) { return v.is_string() || v.list() || v.dict() || v.is_undefined(); }},
    {"sequence", [](Evaluator&, const Value& v, const Value*) { return v.is_string() || v.dict() || v.is_undefined() || (v.list() && v.list()->kind <= List::kTuple); }},
    {"callable", [](Evaluator&, const Value& v, const Value*) { return v.function() != nullptr; }},
    {"lower", [](Evaluator& e, const Value& v, const Value*) { std::string s = to_text(v, e.budget()); return s == lower(s) && s != upper(s); }},
    {"upper", [](Evaluator& e, const Value& v, const Value*) { std::string s = to_text(v, e.budget()); return s == upper(s) && s != lower(s); }},
    {"odd", [](Evaluator& e, const Value& v, const Value*) { return divides<1>(e, v, nullptr); }},
    {"even", [](Evaluator& e, const Value& v, const Value*) { return divides<0>(e, v, nullptr); }},
    {"divisibleby", divides<0>}, {"in", is_in},
    {"equalto", equals<true>}, {"eq", equals<true>}, {"==", equals<true>}, {"ne", equals<false>}, {"!=", equals<false>},
    {"lt", ordered<-1, -1>}, {"lessthan", ordered<-1, -1>}, {"<", ordered<-1, -1>}, {"le", ordered<-1, 0>}, {"<=", ordered<-1, 0>},
    {"gt", ordered<1, 1>}, {"greaterthan", ordered<1, 1>}, {">", ordered<1, 1>}, {"ge", ordered<1, 0>}, {">=", ordered<1, 0>},
};

}  // namespace

bool knows_filter(std::string_view name) { return kFilters.count(name) > 0; }
bool knows_test(std::string_view name) { return kTests.count(name) > 0; }

Value Evaluator::filter(std::string_view name, const Value& subject, Arguments& arguments) {
  Deeper deeper(*this);
  const auto found = kFilters.find(name);
  if (found == kFilters.end()) throw Failure{"the filter \"" + std::string(name) + "\" is not supported"};
  return found->second(*this, subject, arguments);
}

bool Evaluator::test(std::string_view name, const Value& subject, Arguments& arguments) {
  const auto found = kTests.find(name);
  if (found == kTests.end()) throw Failure{"the test \"" + std::string(name) + "\" is not supported"};
  return found->second(*this, subject, arguments.positional.empty() ? nullptr : &arguments.positional[0]);
}

}  // namespace ingot::jinja
