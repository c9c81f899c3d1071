// Attributes, subscripts, slices and the methods of texts, dicts and lists.
#include <algorithm>
#include <map>

#include "text/jinja/evaluator.h"

namespace ingot::jinja {
namespace {

using Method = Value (*)(Evaluator&, const Value& self, Arguments&);

const std::string& text_argument(Arguments& a, size_t i, const char* name, const char* who) {
  const Value* v = a.get(i, name);
  if (!v || !v->is_string()) throw Failure{std::string(who) + "() wants a text"};
  return v->text();
}

template <bool kLeft, bool kRight>
Value strip_method(Evaluator&, const Value& self, Arguments& a) {
  a.at_most(1, "strip");
  const Value* chars = a.get(0, "chars");
  if (!chars || chars->is_none()) return Value(strip(self.text(), kLeft, kRight));
  if (!chars->is_string()) throw Failure{"strip() wants a text"};
  return Value(strip(self.text(), kLeft, kRight, &chars->text()));
}

template <bool kFromRight>
Value split_method(Evaluator& e, const Value& self, Arguments& a) {
  a.at_most(2, "split");
  const Value* separator = a.get(0, "sep");
  const Value* most_value = a.get(1, "maxsplit");
  if (most_value && !most_value->is_integral()) throw Failure{"split() wants a number of parts"};
  uint64_t most = most_value && most_value->integer() >= 0 ? static_cast<uint64_t>(most_value->integer()) : UINT64_MAX;
  std::string_view s = self.text();
  e.budget().charge(2 * s.size());
  std::vector<Value> parts;
  auto add = [&](std::string_view part) {
    e.budget().charge(64);
    parts.emplace_back(part);
  };
  if (!separator || separator->is_none()) {
    auto space = [&](size_t i) { return is_space_point(point_at(s, i)); };
    if (kFromRight) s = strip(s, false, true);
    else s = strip(s, true, false);
    while (!s.empty()) {
      if (parts.size() >= most) {
        add(s);
        break;
      }
      if (kFromRight) {
        size_t start = s.size();
        for (size_t i = s.size(); i-- > 0;) {
          if ((s[i] & 0xc0) == 0x80) continue;
          if (space(i)) break;
          start = i;
        }
        add(s.substr(start));
        s = strip(s.substr(0, start), false, true);
      } else {
        size_t end = 0;
        while (end < s.size() && !space(end)) end += point_bytes(s, end);
        add(s.substr(0, end));
        s = strip(s.substr(end), true, false);
      }
    }
  } else {
    const std::string& cut = text_argument(a, 0, "sep", "split");
    if (cut.empty()) throw Failure{"split() with an empty separator"};
    for (;;) {
      size_t at = parts.size() >= most ? std::string_view::npos : kFromRight ? s.rfind(cut) : s.find(cut);
      if (at == std::string_view::npos) break;
      add(kFromRight ? s.substr(at + cut.size()) : s.substr(0, at));
      s = kFromRight ? s.substr(0, at) : s.substr(at + cut.size());
    }
    add(s);
  }
  if (kFromRight) std::reverse(parts.begin(), parts.end());
  return make_list(std::move(parts));
}

Value splitlines(Evaluator& e, const Value& self, Arguments& a) {
  const Value* keep = a.get(0, "keepends");
  const std::string& s = self.text();
  e.budget().charge(2 * s.size());
  std::vector<Value> lines;
  size_t from = 0;
  for (size_t i = 0; i < s.size();) {
    int32_t c = point_at(s, i);
    size_t n = point_bytes(s, i);
    bool ends = (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && i + 1 < s.size() && s[i + 1] == '\n') n = 2;
    if (ends) {
      e.budget().charge(64);
      lines.emplace_back(s.substr(from, (keep && keep->truth() ? i + n : i) - from));
      from = i + n;
    }
    i += n;
  }
  if (from < s.size()) lines.emplace_back(s.substr(from));
  return make_list(std::move(lines));
}

template <bool kStart>
Value affix(Evaluator&, const Value& self, Arguments& a) {
  a.at_most(1, kStart ? "startswith" : "endswith");
  const Value* what = a.get(0, "prefix");
  std::vector<Value> choices;
  if (what && what->list() && what->list()->kind == List::kTuple) choices = what->list()->items;
  else choices.emplace_back(text_argument(a, 0, "prefix", kStart ? "startswith" : "endswith"));
  return Value(std::any_of(choices.begin(), choices.end(), [&](const Value& v) {
    if (!v.is_string()) throw Failure{"startswith() wants texts"};
    return kStart ? self.text().starts_with(v.text()) : self.text().ends_with(v.text());
  }));
}

Value title(Evaluator&, const Value& self, Arguments&) {
  std::string out;
  bool inside = false;
  const std::string& s = self.text();
  for (size_t i = 0; i < s.size(); i += point_bytes(s, i)) {
    std::string_view one = std::string_view(s).substr(i, point_bytes(s, i));
    bool cased = upper(one) != one || lower(one) != one;
    out += inside ? lower(one) : upper(one);
    inside = cased;
  }
  return Value(std::move(out));
}

Value capitalize(Evaluator&, const Value& self, Arguments&) {
  const std::string& s = self.text();
  if (s.empty()) return self;
  size_t n = point_bytes(s, 0);
  return Value(upper(std::string_view(s).substr(0, n)) + lower(std::string_view(s).substr(n)));
}

Value replace(Evaluator& e, const Value& self, Arguments& a) {
  const std::string &s = self.text(), &from = text_argument(a, 0, "old", "replace"), &to = text_argument(a, 1, "new", "replace");
  const Value* count = a.get(2, "count");
  if (count && !count->is_none() && !count->is_integral()) throw Failure{"replace() wants a whole count"};
  int64_t left = count && count->is_integral() && count->integer() >= 0 ? count->integer() : INT64_MAX;
  std::string out;
  e.budget().charge(s.size());
  size_t i = 0;
  if (from.empty()) {
    for (; left > 0; --left) {
      e.budget().charge(to.size() + 1);
      out += to;
      if (i >= s.size()) break;
      size_t n = point_bytes(s, i);
      out.append(s, i, n);
      i += n;
    }
  } else {
    for (size_t at; left > 0 && (at = s.find(from, i)) != std::string::npos; --left) {
      e.budget().charge(to.size());
      out.append(s, i, at - i);
      out += to;
      i = at + from.size();
    }
  }
  if (i < s.size()) out.append(s, i);
  return Value(std::move(out));
}

template <bool kLast, bool kMust>
Value find(Evaluator& e, const Value& self, Arguments& a) {
  a.at_most(1, "find");
  const std::string& what = text_argument(a, 0, "sub", "find");
  e.budget().charge(self.text().size());
  size_t at = kLast ? self.text().rfind(what) : self.text().find(what);
  if (at == std::string::npos && kMust) throw Failure{"substring not found"};
  return Value(at == std::string::npos ? int64_t{-1} : count_points(std::string_view(self.text()).substr(0, at)));
}

Value count(Evaluator& e, const Value& self, Arguments& a) {
  const std::string& what = text_argument(a, 0, "sub", "count");
  e.budget().charge(self.text().size());
  if (what.empty()) return Value(count_points(self.text()) + 1);
  int64_t n = 0;
  for (size_t i = 0; (i = self.text().find(what, i)) != std::string::npos; i += what.size()) ++n;
  return Value(n);
}

Value join_method(Evaluator& e, const Value& self, Arguments& a) {
  if (a.positional.size() != 1) throw Failure{"join() wants one list"};
  std::string out;
  bool first = true;
  for (const Value& item : iterate(a.positional[0], e.budget())) {
    if (!item.is_string()) throw Failure{std::string("join() wants texts, found ") + item.type_name()};
    e.budget().charge(self.text().size() + item.text().size());
    if (!first) out += self.text();
    first = false;
    out += item.text();
  }
  return Value(std::move(out));
}

template <bool (*kIs)(int32_t)>
Value all_are(Evaluator&, const Value& self, Arguments&) {
  const std::string& s = self.text();
  for (size_t i = 0; i < s.size(); i += point_bytes(s, i))
    if (!kIs(point_at(s, i))) return Value(false);
  return Value(!s.empty());
}
bool is_decimal(int32_t c) { return c >= '0' && c <= '9'; }
bool is_letter(int32_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z' && c < 128; }
bool is_letter_or_decimal(int32_t c) { return is_letter(c) || is_decimal(c); }

template <bool kUpper>
Value is_cased(Evaluator&, const Value& self, Arguments&) {
  const std::string &s = self.text(), up = upper(s), low = lower(s);
  return Value(up != low && s == (kUpper ? up : low));
}

template <bool kStart>
Value without_affix(Evaluator&, const Value& self, Arguments& a) {
  const std::string &s = self.text(), &what = text_argument(a, 0, "affix", "removeprefix");
  if (!(kStart ? s.starts_with(what) : s.ends_with(what))) return self;
  return Value(kStart ? s.substr(what.size()) : s.substr(0, s.size() - what.size()));
}

const std::map<std::string_view, Method> kTextMethods = {
    {"strip", strip_method<true, true>}, {"lstrip", strip_method<true, false>}, {"rstrip", strip_method<false, true>},
    {"split", split_method<false>}, {"rsplit", split_method<true>}, {"splitlines", splitlines},
    {"startswith", affix<true>}, {"endswith", affix<false>},
    {"upper", [](Evaluator&, const Value& s, Arguments&) { return Value(upper(s.text())); }},
    {"lower", [](Evaluator&, const Value& s, Arguments&) { return Value(lower(s.text())); }},
    {"title", title}, {"capitalize", capitalize}, {"format", [](Evaluator& e, const Value& s, Arguments& a) { return e.format(s, a); }}, {"replace", replace}, {"join", join_method}, {"count", count},
    {"find", find<false, false>}, {"rfind", find<true, false>}, {"index", find<false, true>},
    {"isdigit", all_are<is_decimal>}, {"isnumeric", all_are<is_decimal>}, {"isalpha", all_are<is_letter>}, {"isalnum", all_are<is_letter_or_decimal>},
    {"isspace", all_are<is_space_point>}, {"isupper", is_cased<true>}, {"islower", is_cased<false>},
    {"removeprefix", without_affix<true>}, {"removesuffix", without_affix<false>},
};

template <int kWhat>
Value view(Evaluator& e, const Value& self, Arguments&) {
  std::vector<Value> out;
  for (const auto& [key, value] : self.dict()->items) {
    e.budget().charge(96);
    if (kWhat == 0) out.push_back(key);
    else if (kWhat == 1) out.push_back(value);
    else out.push_back(make_list({key, value}, List::kTuple));
  }
  return make_list(std::move(out), List::kView);
}

const std::map<std::string_view, Method> kDictMethods = {
    {"keys", view<0>}, {"values", view<1>}, {"items", view<2>},
    {"get", [](Evaluator&, const Value& self, Arguments& a) {
       a.at_most(2, "get");
       if (a.positional.empty()) throw Failure{"get() wants a key"};
       if (const Value* found = self.dict()->find(a.positional[0])) return *found;
       const Value* other = a.get(1, "default");
       return other ? *other : Value(None{});
     }},
    {"copy", [](Evaluator& e, const Value& self, Arguments&) {
       e.budget().charge(128 * self.dict()->items.size());
       return Value(std::make_shared<Dict>(*self.dict()));
     }},
};

const std::map<std::string_view, Method> kListMethods = {
    {"index", [](Evaluator& e, const Value& self, Arguments& a) {
       if (a.positional.size() != 1) throw Failure{"index() wants one value"};
       const auto& items = self.list()->items;
       for (size_t i = 0; i < items.size(); ++i)
         if (equal(items[i], a.positional[0], e.budget())) return Value(static_cast<int64_t>(i));
       throw Failure{"the value is not in the list"};
     }},
    {"count", [](Evaluator& e, const Value& self, Arguments& a) {
       if (a.positional.size() != 1) throw Failure{"count() wants one value"};
       int64_t n = 0;
       for (const Value& item : self.list()->items) n += equal(item, a.positional[0], e.budget());
       return Value(n);
     }},
};

// The reference's sandbox knows these and refuses them when they are called.
constexpr std::string_view kRefusedMethods[] = {"append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear", "update", "setdefault", "popitem"};

int64_t bound(const Value& v, const char* what) {
  if (!v.is_integral()) throw Failure{std::string("a slice's ") + what + " is a " + v.type_name()};
  return v.integer();
}

// A method of markup makes markup, and escapes what it is given to put in.
Value of_markup(Evaluator& e, const Value& self, const std::string& name, Method run, Arguments& a) {
  if (name == "replace" && a.positional.size() > 1) a.positional[1] = escape(a.positional[1], e.budget());
  if (name == "join" && a.positional.size() == 1) {
    std::vector<Value> items;
    for (const Value& item : iterate(a.positional[0], e.budget())) items.push_back(escape(item, e.budget()));
    a.positional[0] = make_list(std::move(items));
  }
  Value out = run(e, self, a);
  if (out.is_string()) return out.as_markup();
  if (List* list = out.list())
    for (Value& item : list->items) item = item.as_markup();
  return out;
}

}  // namespace

bool knows_method(std::string_view name) {
  return kTextMethods.count(name) || kDictMethods.count(name) || kListMethods.count(name) || name == "cycle" || name == "changed" ||
         std::find(std::begin(kRefusedMethods), std::end(kRefusedMethods), name) != std::end(kRefusedMethods);
}

Value Evaluator::method(const Value& object, const std::string& name) {
  const std::map<std::string_view, Method>* methods = object.is_string() ? &kTextMethods : object.dict() ? &kDictMethods : nullptr;
  if (List* list = object.list(); list && list->kind <= List::kTuple) methods = &kListMethods;
  if (!methods) return Value(Undefined{name});
  auto it = methods->find(name);
  if (it == methods->end()) return Value(Undefined{name});
  if (object.is_markup()) return make_function(name, [this, object, name, run = it->second](Arguments& a) { return of_markup(*this, object, name, run, a); });
  return make_function(name, [this, object, run = it->second](Arguments& a) { return run(*this, object, a); });
}

Value Evaluator::loop_attribute(const std::shared_ptr<Loop>& loop, const std::string& name) {
  int64_t i = loop->index0, n = loop->length;
  auto at = [&](int64_t j) {
    if (!loop->items || j < 0 || j >= n) return Value(Undefined{name});
    return (*loop->items)[static_cast<size_t>(j)];
  };
  if (name == "index") return Value(i + 1);
  if (name == "index0") return Value(i);
  if (name == "revindex") return Value(n - i);
  if (name == "revindex0") return Value(n - i - 1);
  if (name == "first") return Value(i == 0);
  if (name == "last") return Value(i == n - 1);
  if (name == "length") return Value(n);
  if (name == "depth" || name == "depth0") return Value(int64_t{name == "depth"});
  if (name == "previtem") return at(i - 1);
  if (name == "nextitem") return at(i + 1);
  if (name == "cycle")
    return make_function(name, [loop](Arguments& a) {
      if (a.positional.empty()) throw Failure{"cycle() wants a value"};
      return a.positional[static_cast<size_t>(loop->index0) % a.positional.size()];
    });
  if (name == "changed")
    return make_function(name, [this, loop](Arguments& a) {
      bool same = loop->asked_changed && loop->changed.size() == a.positional.size();
      for (size_t k = 0; same && k < a.positional.size(); ++k) same = equal(loop->changed[k], a.positional[k], budget_);
      for (const Value& v : a.positional)
        if (v.loop() || v.function()) throw Failure{"changed() wants plain values"};  // else a loop could own itself
      loop->changed = a.positional;
      loop->asked_changed = true;
      return Value(!same);
    });
  return Value(Undefined{name});
}

Value Evaluator::attribute(const Value& object, const std::string& name) {
  if (object.is_undefined()) throw Failure{"'" + object.undefined().name + "' is undefined (its attribute \"" + name + "\" is asked for)"};
  if (object.loop()) return loop_attribute(object.shared_loop(), name);
  if (Namespace* space = object.space()) {
    const Value* found = space->names.find(Value(name));
    return found ? *found : Value(Undefined{name});
  }
  if (std::find(std::begin(kRefusedMethods), std::end(kRefusedMethods), name) != std::end(kRefusedMethods) && (object.list() || object.dict())) {
    bool of_list = std::find(std::begin(kRefusedMethods), std::begin(kRefusedMethods) + 7, name) != std::begin(kRefusedMethods) + 7;
    if (object.list() ? of_list || name == "clear" : !of_list || name == "pop") return Value(Undefined{name});
  }
  Value own = method(object, name);
  if (!own.is_undefined()) return own;
  if (Dict* dict = object.dict())
    if (const Value* found = dict->find(Value(name))) return *found;
  return Value(Undefined{name});
}

Value Evaluator::item(const Value& object, const Value& key) {
  if (object.is_undefined()) throw Failure{"'" + object.undefined().name + "' is undefined (it is subscripted)"};
  if (Dict* dict = object.dict()) {
    if (!key.list() || key.list()->kind == List::kTuple)
      if (const Value* found = dict->find(key)) return *found;
  } else if (key.is_integral() && (object.is_string() || (object.list() && object.list()->kind <= List::kTuple))) {
    int64_t i = key.integer(), n = length_of(object);
    if (i < 0) i += n;
    if (i < 0 || i >= n) return Value(Undefined{"an item outside the sequence"});
    if (object.list()) return object.list()->items[static_cast<size_t>(i)];
    const std::string& s = object.text();
    budget_.charge(s.size() / 16);
    size_t at = 0;
    if (static_cast<size_t>(n) == s.size()) at = static_cast<size_t>(i);
    else
      for (; i > 0; --i) at += point_bytes(s, at);
    Value one(s.substr(at, point_bytes(s, at)));
    return object.is_markup() ? one.as_markup() : one;
  }
  if (key.is_string()) return object.dict() ? method(object, key.text()) : attribute(object, key.text());
  return Value(Undefined{"an item"});
}

Value Evaluator::path(const Value& object, const Value& dotted) {
  if (!dotted.is_string()) return item(object, dotted);
  Value at = object;
  const std::string& names = dotted.text();
  for (size_t from = 0; from <= names.size();) {
    size_t dot = std::min(names.find('.', from), names.size());
    std::string part = names.substr(from, dot - from);
    bool number = !part.empty() && part.size() < 10 && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    at = item(at, number ? Value(static_cast<int64_t>(std::stoll(part))) : Value(part));
    from = dot + 1;
  }
  return at;
}

Value Evaluator::slice(const Value& object, const Expression& bounds, Scope* scope) {
  if (object.is_undefined()) throw Failure{"'" + object.undefined().name + "' is undefined (it is sliced)"};
  Value given[3];
  for (size_t i = 0; i < 3; ++i) given[i] = bounds.parts[i] ? evaluate(*bounds.parts[i], scope) : Value(None{});
  if (!object.is_string() && !(object.list() && object.list()->kind <= List::kTuple)) throw Failure{std::string("a slice of a ") + object.type_name()};
  int64_t n = length_of(object), step = given[2].is_none() ? 1 : bound(given[2], "step");
  if (step == 0) throw Failure{"a slice with a step of 0"};
  auto clamp = [&](const Value& v, int64_t absent, const char* what) {
    if (v.is_none()) return absent;
    int64_t i = bound(v, what);
    if (i < 0) i = i < -n ? -1 : i + n;
    if (i < 0) return step < 0 ? int64_t{-1} : int64_t{0};
    return std::min(i, step < 0 ? n - 1 : n);
  };
  int64_t start = clamp(given[0], step < 0 ? n - 1 : 0, "start"), stop = clamp(given[1], step < 0 ? -1 : n, "end");
  step = std::clamp(step, -n - 1, n + 1);
  std::vector<size_t> at;
  if (object.is_string()) {
    const std::string& s = object.text();
    budget_.charge(9 * s.size());
    for (size_t i = 0; i < s.size(); i += point_bytes(s, i)) at.push_back(i);
    std::string out;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
      if (static_cast<size_t>(i) < at.size()) out += std::string_view(s).substr(at[static_cast<size_t>(i)], point_bytes(s, at[static_cast<size_t>(i)]));
    return object.is_markup() ? Value(std::move(out)).as_markup() : Value(std::move(out));
  }
  std::vector<Value> out;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) out.push_back(object.list()->items[static_cast<size_t>(i)]);
  budget_.charge(out.size() * sizeof(Value));
  return make_list(std::move(out), object.list()->kind);
}

}  // namespace ingot::jinja
