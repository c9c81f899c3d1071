// Values as text: Python's str() and repr(), and json.dumps.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utf8proc.h>

#include "text/jinja/value.h"

namespace ingot::jinja {

// Shortest digits that read back as `d`, laid out as Python's repr: an exponent below 1e-4 and from 1e16.
std::string float_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  std::string_view all(buffer, static_cast<size_t>(end - buffer));
  size_t e = all.find('e');
  int exponent = std::atoi(std::string(all.substr(e + 1)).c_str());
  std::string digits, sign = d < 0 || (d == 0 && std::signbit(d)) ? "-" : "";
  for (char c : all.substr(0, e))
    if (c >= '0' && c <= '9') digits += c;
  if (d == 0) return sign + "0.0";
  if (exponent < -4 || exponent >= 16) {
    std::string out = sign + digits.substr(0, 1);
    if (digits.size() > 1) out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    int size = std::abs(exponent);
    return out + (size < 10 ? "0" : "") + std::to_string(size);
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_hex(uint32_t c, int digits, std::string& out) {
  for (int i = digits - 1; i >= 0; --i) out += kHex[c >> (4 * i) & 15];
}

bool is_printable(int32_t c) {
  auto k = utf8proc_category(c);
  return !(k == UTF8PROC_CATEGORY_CN || k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CS || k == UTF8PROC_CATEGORY_CO ||
           k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP || (k == UTF8PROC_CATEGORY_ZS && c != ' '));
}

void append_quoted(std::string_view s, std::string& out) {
  char quote = s.find('\'') != std::string_view::npos && s.find('"') == std::string_view::npos ? '"' : '\'';
  out += quote;
  for (size_t i = 0; i < s.size(); i += point_bytes(s, i)) {
    int32_t c = point_at(s, i);
    if (c == quote || c == '\\') (out += '\\') += static_cast<char>(c);
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (is_printable(c)) out += s.substr(i, point_bytes(s, i));
    else if (c < 0x100) append_hex(static_cast<uint32_t>(c), 2, out += "\\x");
    else if (c < 0x10000) append_hex(static_cast<uint32_t>(c), 4, out += "\\u");
    else append_hex(static_cast<uint32_t>(c), 8, out += "\\U");
  }
  out += quote;
}

void append_json_text(std::string_view s, bool ascii, std::string& out) {
  out += '"';
  for (size_t i = 0; i < s.size(); i += point_bytes(s, i)) {
    char c = s[i];
    switch (c) {
      case '"': out += "\\\""; continue;
      case '\\': out += "\\\\"; continue;
      case '\n': out += "\\n"; continue;
      case '\r': out += "\\r"; continue;
      case '\t': out += "\\t"; continue;
      case '\b': out += "\\b"; continue;
      case '\f': out += "\\f"; continue;
      default: break;
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      append_hex(static_cast<unsigned char>(c), 4, out += "\\u");
    } else if (static_cast<unsigned char>(c) < 0x80 || !ascii) {
      if (ascii || c != 0x7f) out += s.substr(i, point_bytes(s, i));
      else out += c;
    } else {
      auto point = static_cast<uint32_t>(point_at(s, i));
      if (point >= 0x10000) {
        append_hex(0xd800 + ((point - 0x10000) >> 10), 4, out += "\\u");
        append_hex(0xdc00 + ((point - 0x10000) & 0x3ff), 4, out += "\\u");
      } else {
        append_hex(point, 4, out += "\\u");
      }
    }
  }
  out += '"';
}

std::string json_number(const Value& v) {
  if (v.is_integral()) return std::to_string(v.integer());
  double d = v.number();
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d < 0 ? "-Infinity" : "Infinity";
  return float_text(d);
}

}  // namespace

void append_repr(const Value& value, std::string& out, Budget& budget, int depth) {
  if (depth > kMaxDepth) throw Failure{"a value is nested too deeply to print"};
  budget.charge(16);
  auto pairs = [&](const Dict& dict) {
    out += '{';
    for (size_t i = 0; i < dict.items.size(); ++i) {
      if (i) out += ", ";
      append_repr(dict.items[i].first, out, budget, depth + 1);
      out += ": ";
      append_repr(dict.items[i].second, out, budget, depth + 1);
    }
    out += '}';
  };
  if (value.is_string()) {
    budget.charge(2 * value.text().size());
    append_quoted(value.text(), out);
  } else if (List* list = value.list()) {
    if (list->kind == List::kIterator) throw Failure{"a generator is printed; add |list or |join"};
    bool tuple = list->kind == List::kTuple;
    if (list->kind == List::kView) out += "dict_view(";
    out += tuple ? '(' : '[';
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i) out += ", ";
      append_repr(list->items[i], out, budget, depth + 1);
    }
    if (tuple && list->items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
    if (list->kind == List::kView) out += ')';
  } else if (Dict* dict = value.dict()) {
    pairs(*dict);
  } else if (Namespace* space = value.space()) {
    out += "<Namespace ";
    pairs(space->names);
    out += '>';
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.function() || value.loop()) {
    throw Failure{std::string("a ") + value.type_name() + " is printed"};
  } else {
    append_text(value, out, budget);
  }
}

void append_text(const Value& value, std::string& out, Budget& budget) {
  if (value.is_string()) {
    budget.charge(value.text().size());
    out += value.text();
  } else if (value.is_none()) {
    out += "None";
  } else if (value.is_bool()) {
    out += value.truth() ? "True" : "False";
  } else if (value.is_int()) {
    out += std::to_string(value.integer());
  } else if (value.is_float()) {
    out += float_text(value.number());
  } else if (!value.is_undefined()) {
    append_repr(value, out, budget);
  }
}

std::string to_text(const Value& value, Budget& budget) {
  std::string out;
  append_text(value, out, budget);
  return out;
}

void append_json(const Value& value, const JsonStyle& style, std::string& out, Budget& budget, int depth) {
  budget.charge(16);
  auto line = [&](int d) {
    if (!style.indented) return;
    out += '\n';
    budget.charge(style.indent.size() * static_cast<size_t>(d));
    for (int i = 0; i < d; ++i) out += style.indent;
  };
  if (value.is_none()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.truth() ? "true" : "false";
  } else if (value.is_number()) {
    out += json_number(value);
  } else if (value.is_string()) {
    budget.charge(2 * value.text().size());
    append_json_text(value.text(), style.ascii, out);
  } else if (List* list = value.list(); list && list->kind <= List::kTuple) {
    if (list->items.empty()) {
      out += "[]";
      return;
    }
    out += '[';
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i) out += style.item;
      line(depth + 1);
      append_json(list->items[i], style, out, budget, depth + 1);
    }
    line(depth);
    out += ']';
  } else if (Dict* dict = value.dict()) {
    if (dict->items.empty()) {
      out += "{}";
      return;
    }
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict->items) items.push_back(&item);
    if (style.sort_keys) std::stable_sort(items.begin(), items.end(), [&](auto* a, auto* b) { return compare(a->first, b->first, budget) < 0; });
    out += '{';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out += style.item;
      line(depth + 1);
      const Value& key = items[i]->first;
      if (key.is_string()) append_json(key, style, out, budget, depth + 1);
      else if (key.is_number() || key.is_none()) append_json_text(key.is_none() ? "null" : key.is_bool() ? (key.truth() ? "true" : "false") : json_number(key), style.ascii, out);
      else throw Failure{std::string("tojson: a ") + key.type_name() + " cannot be a key"};
      out += style.key;
      append_json(items[i]->second, style, out, budget, depth + 1);
    }
    line(depth);
    out += '}';
  } else {
    throw Failure{std::string("tojson: a value is ") + value.type_name() + (value.is_undefined() ? " (" + value.undefined().name + ")" : "") + ", which JSON does not have"};
  }
}

Value escape(const Value& value, Budget& budget) {
  if (value.is_markup()) return value;
  std::string out;
  for (char c : to_text(value, budget)) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '\'') out += "&#39;";
    else if (c == '"') out += "&#34;";
    else out += c;
  }
  budget.charge(out.size());
  return Value(std::move(out)).as_markup();
}

}  // namespace ingot::jinja
