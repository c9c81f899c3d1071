// The two ways of a text to take values in: % and format().
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja/evaluator.h"

namespace ingot::jinja {
namespace {

// [[fill]align][sign][0][width][,][.precision][type], Python's.
struct FieldFormat {
  std::string fill = " ";
  char align = 0, sign = '-', type = 0;
  bool grouped = false;
  size_t width = 0;
  int precision = -1;
};

FieldFormat field_format(std::string_view s) {
  FieldFormat f;
  auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  auto digits = [&] {
    int n = 0;
    while (!s.empty() && s[0] >= '0' && s[0] <= '9') {
      n = n * 10 + (s[0] - '0');
      if (n > 1000) throw Failure{"a format that is too wide"};
      s.remove_prefix(1);
    }
    return n;
  };
  if (size_t n = s.empty() ? 0 : point_bytes(s, 0); n && n < s.size() && is_align(s[n])) {
    f.fill = s.substr(0, n);
    f.align = s[n];
    s.remove_prefix(n + 1);
  } else if (!s.empty() && is_align(s[0])) {
    f.align = s[0];
    s.remove_prefix(1);
  }
  if (!s.empty() && (s[0] == '+' || s[0] == '-' || s[0] == ' ')) f.sign = s[0], s.remove_prefix(1);
  if (!s.empty() && s[0] == '0') {
    if (!f.align) f.fill = "0", f.align = '=';
    s.remove_prefix(1);
  }
  f.width = static_cast<size_t>(digits());
  if (s.starts_with(",")) f.grouped = true, s.remove_prefix(1);
  if (s.starts_with(".")) {
    s.remove_prefix(1);
    if (s.empty() || s[0] < '0' || s[0] > '9') throw Failure{"a format without its precision"};
    f.precision = digits();
  }
  if (!s.empty()) f.type = s[0], s.remove_prefix(1);
  if (!s.empty()) throw Failure{"the format \"" + std::string(s) + "\" is not supported"};
  return f;
}

// The digits of a number without its sign.
std::string magnitude(const Value& v, const FieldFormat& f) {
  char buffer[2048];
  int n = -1;
  const bool real = f.type == 'f' || f.type == 'F' || f.type == 'e' || f.type == 'g' || f.type == '%' || (v.is_float() && !f.type);
  if (!real && v.is_integral() && f.precision < 0) {
    const auto whole = v.integer() < 0 ? 0 - static_cast<unsigned long long>(v.integer()) : static_cast<unsigned long long>(v.integer());
    if (!f.type || f.type == 'd') n = std::snprintf(buffer, sizeof buffer, "%llu", whole);
    else if (f.type == 'x') n = std::snprintf(buffer, sizeof buffer, "%llx", whole);
    else if (f.type == 'X') n = std::snprintf(buffer, sizeof buffer, "%llX", whole);
  } else if (real && !f.type && f.precision < 0) {
    std::string text = float_text(v.number());
    return text.starts_with("-") ? text.substr(1) : text;
  } else if (real && f.type) {
    const double d = std::abs(v.number()) * (f.type == '%' ? 100 : 1);
    const std::string how = std::string("%.*") + (f.type == '%' || f.type == 'F' ? 'f' : f.type) + (f.type == '%' ? "%%" : "");
    n = std::snprintf(buffer, sizeof buffer, how.c_str(), f.precision < 0 ? 6 : f.precision, d);
  }
  if (n < 0 || n >= static_cast<int>(sizeof buffer)) throw Failure{std::string("such a format for a ") + v.type_name()};
  return std::string(buffer, static_cast<size_t>(n));
}

std::string formatted(const Value& v, std::string_view spec, Budget& budget) {
  if (spec.empty()) return to_text(v, budget);
  FieldFormat f = field_format(spec);
  std::string sign, body;
  if (v.is_string() && (!f.type || f.type == 's') && !f.grouped && f.sign == '-') {
    if (f.align == '=' && f.fill != "0") throw Failure{"a format with = for a text"};
    if (f.align == '=') f.align = '<';
    body = v.text();
    size_t end = 0;
    for (int i = 0; f.precision >= 0 && end < body.size() && i < f.precision; ++i) end += point_bytes(body, end);
    if (f.precision >= 0) body.resize(end);
  } else if (v.is_number()) {
    const bool negative = v.is_float() ? std::signbit(v.number()) : v.integer() < 0;
    sign = negative ? "-" : f.sign == '-' ? "" : std::string(1, f.sign);
    body = magnitude(v, f);
    size_t whole = 0;
    while (whole < body.size() && body[whole] >= '0' && body[whole] <= '9') ++whole;
    if (f.grouped && f.fill == "0" && f.width) throw Failure{"a format with zeros and commas"};
    for (size_t i = whole; f.grouped && i > 3; i -= 3) body.insert(i - 3, ",");
    if (!f.align) f.align = '>';
  } else {
    throw Failure{std::string("a format for a ") + v.type_name()};
  }
  const auto length = static_cast<size_t>(count_points(body)) + sign.size(), missing = f.width > length ? f.width - length : 0;
  const size_t left = f.align == '>' || f.align == '=' ? missing : f.align == '^' ? missing / 2 : 0;
  std::string out;
  auto pad = [&](size_t n) {
    for (; n > 0; --n) out += f.fill;
  };
  if (f.align == '=') out += sign;
  pad(left);
  if (f.align != '=') out += sign;
  out += body;
  pad(missing - left);
  return out;
}

}  // namespace

// {} {0} {name} {0.key} {0[key]} {!r} {:>8.2f}; a field inside a field's format is refused.
Value Evaluator::format(const Value& given, Arguments& a) {
  const std::string& format = given.text();
  budget_.charge(format.size());
  std::string out;
  int64_t next = 0;  // -1: by numbers
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out += format[++i];
      continue;
    }
    if (c == '}') throw Failure{"a single } in a format"};
    if (c != '{') {
      out += c;
      continue;
    }
    const size_t end = format.find_first_of("{}", i + 1);
    if (end == std::string::npos || format[end] == '{') throw Failure{"a broken format"};
    std::string_view field = std::string_view(format).substr(i + 1, end - i - 1);
    i = end;
    std::string_view spec;
    char conversion = 0;
    if (size_t colon = field.find(':'); colon != std::string_view::npos) spec = field.substr(colon + 1), field = field.substr(0, colon);
    if (size_t mark = field.find('!'); mark != std::string_view::npos) {
      if (field.size() != mark + 2 || (field.back() != 's' && field.back() != 'r')) throw Failure{"a conversion that a format does not know"};
      conversion = field.back();
      field = field.substr(0, mark);
    }
    size_t at = std::min(field.find_first_of(".["), field.size());
    const std::string name(field.substr(0, at));
    const bool number = name.find_first_not_of("0123456789") == std::string::npos;
    const Value* found = nullptr;
    if (number && name.size() < 6) {
      if (name.empty() ? next < 0 : next > 0) throw Failure{"a format with and without numbers"};
      const auto place = static_cast<size_t>(name.empty() ? next++ : std::stoll(name));
      if (!name.empty()) next = -1;
      if (place >= a.positional.size()) throw Failure{"a format wants more values"};
      found = &a.positional[place];
    }
    for (const auto& [key, value] : a.named)
      if (!number && key == name) found = &value;
    if (!found) throw Failure{"a format has no value for " + name};
    Value value = *found;
    while (at < field.size()) {
      const bool bracket = field[at] == '[';
      const size_t stop = bracket ? field.find(']', at) : std::min(field.find_first_of(".[", at + 1), field.size());
      if (stop == std::string_view::npos) throw Failure{"a broken format"};
      const std::string key(field.substr(at + 1, stop - at - 1));
      const bool index = bracket && !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
      value = !bracket ? attribute(value, key) : item(value, index ? Value(static_cast<int64_t>(std::stoll(key))) : Value(key));
      at = stop + bracket;
    }
    if (conversion == 'r') {
      std::string text;
      append_repr(value, text, budget_);
      value = Value(std::move(text));
    } else if (conversion == 's') {
      value = Value(to_text(value, budget_));
    }
    std::string text = formatted(value, spec, budget_);
    if (given.is_markup() && !value.is_markup()) text = escape(Value(std::move(text)), budget_).text();
    budget_.charge(text.size());
    out += text;
  }
  return Value(std::move(out));
}

// The % of a text: %s %r %d %i %x %f with width and precision.
Value Evaluator::percent(const Value& given, const std::vector<Value>& values) {
  const std::string& format = given.text();
  std::string out;
  size_t next = 0;
  budget_.charge(format.size());
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    size_t from = i++;
    while (i < format.size() && std::string_view("-+ 0.123456789").find(format[i]) != std::string_view::npos) ++i;
    if (i >= format.size() || i - from > 8) throw Failure{"a broken % format"};
    if (format[i] == '%') {
      out += '%';
      continue;
    }
    if (next >= values.size()) throw Failure{"not enough values for a % format"};
    const Value& v = values[next++];
    std::string flags = format.substr(from, i - from), text;
    for (size_t j = 1, run = 0; j < flags.size(); ++j)
      if (flags[j] >= '0' && flags[j] <= '9' ? ++run > 3 : (run = 0)) throw Failure{"a % format that is too wide"};
    char buffer[2048];
    if (format[i] == 's') text = given.is_markup() ? escape(v, budget_).text() : to_text(v, budget_);
    else if (format[i] == 'r') append_repr(v, text, budget_);
    else if ((format[i] == 'd' || format[i] == 'i' || format[i] == 'x') && v.is_number()) {
      auto number = static_cast<long long>(v.is_float() ? std::clamp(v.number(), -9e18, 9e18) : static_cast<double>(0)) + (v.is_float() ? 0 : v.integer());
      int n = std::snprintf(buffer, sizeof buffer, (flags + (format[i] == 'x' ? "llx" : "lld")).c_str(), number);
      text.assign(buffer, static_cast<size_t>(std::clamp(n, 0, static_cast<int>(sizeof buffer) - 1)));
      flags = "%";
    } else if (format[i] == 'f' && v.is_number()) {
      int n = std::snprintf(buffer, sizeof buffer, (flags + "f").c_str(), v.number());
      text.assign(buffer, static_cast<size_t>(std::clamp(n, 0, static_cast<int>(sizeof buffer) - 1)));
      flags = "%";
    } else {
      throw Failure{std::string("the format %") + format[i] + " for a " + v.type_name()};
    }
    if (flags != "%") throw Failure{"a width in %" + std::string(1, format[i])};
    out += text;
  }
  if (next < values.size()) throw Failure{"not all values are used by a % format"};
  return given.is_markup() ? Value(std::move(out)).as_markup() : Value(std::move(out));
}

}  // namespace ingot::jinja
