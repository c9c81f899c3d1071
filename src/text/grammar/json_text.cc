#include "text/grammar/json_text.h"

#include <algorithm>
#include <map>

#include "text/grammar/source_reader.h"

namespace ingot::grammar {
namespace {

const std::vector<CodeRange> kHex{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, kDigits{{'0', '9'}};

std::vector<CodeRange> plain_codes() { return complement({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}); }

ExprPtr hex(int count) { return repeat(chars(kHex), count, count); }

std::string escaped(uint32_t c) {
  switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\b': return "\\b";
    case '\f': return "\\f";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: break;
  }
  if (c >= 0x20) return utf8_of(c);
  const char* digits = "0123456789abcdef";
  return std::string("\\u00") + digits[c >> 4] + digits[c & 15];
}

ExprPtr escaped_class(const std::vector<CodeRange>& ranges) {
  std::vector<ExprPtr> parts{chars(intersection(ranges, plain_codes()))};
  for (const CodeRange& r : intersection(ranges, {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}}))
    for (uint32_t c = r.low; c <= r.high; ++c) parts.push_back(text(escaped(c)));
  return parts.size() == 1 ? parts[0] : choice(std::move(parts));
}

ExprPtr escaped_expr(const ExprPtr& e) {
  switch (e->kind) {
    case Expr::Kind::kText: {
      std::string out;
      SourceReader in{e->text, "pattern"};
      while (!in.done()) out += escaped(in.code_point());
      return text(out);
    }
    case Expr::Kind::kClass: return escaped_class(e->ranges);
    case Expr::Kind::kRepeat: return repeat(escaped_expr(e->parts[0]), e->least, e->most);
    case Expr::Kind::kRule: return e;
    default: {
      std::vector<ExprPtr> parts;
      for (const auto& p : e->parts) parts.push_back(escaped_expr(p));
      return e->kind == Expr::Kind::kChoice ? choice(std::move(parts)) : sequence(std::move(parts));
    }
  }
}

// Texts of one length, from a to b.
ExprPtr digits_between(std::string_view a, std::string_view b) {
  if (a.empty()) return text("");
  auto rest = static_cast<int32_t>(a.size() - 1);
  if (a.find_first_not_of('0') == std::string_view::npos && b.find_first_not_of('9') == std::string_view::npos) return repeat(chars(kDigits), rest + 1, rest + 1);
  if (a[0] == b[0]) return sequence({text(std::string(1, a[0])), digits_between(a.substr(1), b.substr(1))});
  const std::string nines(a.size() - 1, '9'), zeros(a.size() - 1, '0');
  std::vector<ExprPtr> parts{sequence({text(std::string(1, a[0])), digits_between(a.substr(1), nines)})};
  if (a[0] + 1 < b[0]) parts.push_back(sequence({chars({{static_cast<uint32_t>(a[0] + 1), static_cast<uint32_t>(b[0] - 1)}}), repeat(chars(kDigits), rest, rest)}));
  parts.push_back(sequence({text(std::string(1, b[0])), digits_between(zeros, b.substr(1))}));
  return choice(std::move(parts));
}

// REQUIRES: 0 <= low <= high.
ExprPtr naturals(int64_t low, int64_t high) {
  std::vector<ExprPtr> parts;
  const std::string a = std::to_string(low), b = std::to_string(high);
  for (size_t n = a.size(); n <= b.size(); ++n) {
    std::string from = n == a.size() ? a : "1" + std::string(n - 1, '0'), to = n == b.size() ? b : std::string(n, '9');
    parts.push_back(digits_between(from, to));
  }
  return parts.size() == 1 ? parts[0] : choice(std::move(parts));
}

std::string padded(int64_t value, int places) {
  std::string s = std::to_string(value);
  return std::string(static_cast<size_t>(std::max<int>(0, places - static_cast<int>(s.size()))), '0') + s;
}

// Exactly `places` digits behind the point. REQUIRES: 0 <= low <= high, places > 0.
ExprPtr fixed(int64_t low, int64_t high, int places) {
  int64_t one = 1;
  for (int i = 0; i < places; ++i) one *= 10;
  const int64_t a = low / one, b = high / one;
  auto part = [&](int64_t whole, int64_t from, int64_t to) {
    return sequence({text(std::to_string(whole) + "."), digits_between(padded(from, places), padded(to, places))});
  };
  if (a == b) return part(a, low % one, high % one);
  std::vector<ExprPtr> parts{part(a, low % one, one - 1)};
  if (a + 1 <= b - 1) parts.push_back(sequence({naturals(a + 1, b - 1), text("."), repeat(chars(kDigits), places, places)}));
  parts.push_back(part(b, 0, high % one));
  return choice(std::move(parts));
}

}  // namespace

ExprPtr json_space() {
  return optional(choice({text(" "), sequence({repeat(text("\n"), 1, 2), repeat(chars({{' ', ' '}, {'\t', '\t'}}), 0, 20)})}));
}

ExprPtr json_plain_character() {
  return choice({chars(plain_codes()), sequence({text("\\"), chars({{'"', '"'}, {'/', '/'}, {'\\', '\\'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}})})});
}

ExprPtr json_character() {
  const std::vector<CodeRange> d{{'D', 'D'}, {'d', 'd'}};
  ExprPtr outside = choice({sequence({chars({{'0', '9'}, {'A', 'C'}, {'a', 'c'}, {'E', 'F'}, {'e', 'f'}}), hex(3)}), sequence({chars(d), chars({{'0', '7'}}), hex(2)})});
  ExprPtr high = sequence({chars(d), chars({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), hex(2)});
  ExprPtr low = sequence({chars(d), chars({{'C', 'F'}, {'c', 'f'}}), hex(2)});
  return choice({json_plain_character(), sequence({text("\\u"), choice({outside, sequence({high, text("\\u"), low})})})});
}

ExprPtr json_quoted(ExprPtr plain) { return sequence({text("\""), escaped_expr(plain), text("\"")}); }

ExprPtr json_quoted_except(const std::vector<std::string>& names) {
  struct Node {
    std::map<uint32_t, size_t> next;
    bool name = false;
  };
  std::vector<Node> nodes(1);
  for (const std::string& name : names) {
    size_t at = 0;
    SourceReader in{name, "name"};
    while (!in.done()) {
      uint32_t c = in.code_point();
      if (!nodes[at].next.contains(c)) {
        nodes[at].next[c] = nodes.size();
        nodes.emplace_back();
      }
      at = nodes[at].next[c];
    }
    nodes[at].name = true;
  }
  // From the leaves: a node's number is above its parent's.
  std::vector<ExprPtr> made(nodes.size());
  ExprPtr any = repeat(chars(complement({})), 0, -1);
  for (size_t n = nodes.size(); n-- > 0;) {
    std::vector<CodeRange> taken;
    std::vector<ExprPtr> parts;
    for (auto [c, next] : nodes[n].next) {
      taken.push_back({c, c});
      parts.push_back(sequence({text(utf8_of(c)), made[next]}));
    }
    parts.push_back(sequence({chars(complement(taken)), any}));
    if (!nodes[n].name) parts.push_back(text(""));
    made[n] = choice(std::move(parts));
  }
  return json_quoted(made[0]);
}

ExprPtr json_integer() { return sequence({optional(text("-")), choice({text("0"), sequence({chars({{'1', '9'}}), repeat(chars(kDigits), 0, 15)})})}); }

ExprPtr json_number() {
  return sequence({json_integer(), optional(sequence({text("."), repeat(chars(kDigits), 1, 15)})),
                   optional(sequence({chars({{'E', 'E'}, {'e', 'e'}}), optional(chars({{'+', '+'}, {'-', '-'}})), repeat(chars(kDigits), 1, 3)}))});
}

Lengths lengths_of(const Expr& e) {
  Lengths sum{0, 0};
  switch (e.kind) {
    case Expr::Kind::kText: {
      auto n = static_cast<int64_t>(std::count_if(e.text.begin(), e.text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
      return {n, n};
    }
    case Expr::Kind::kClass: return {1, 1};
    case Expr::Kind::kRepeat: {
      Lengths one = lengths_of(*e.parts[0]);
      bool bounded = e.most >= 0 && one.most >= 0;
      return {one.least * e.least, bounded ? one.most * e.most : one.most == 0 ? 0 : -1};
    }
    case Expr::Kind::kChoice:
      if (e.parts.empty()) return sum;
      sum = lengths_of(*e.parts[0]);
      for (const auto& p : e.parts) {
        Lengths one = lengths_of(*p);
        sum = {std::min(sum.least, one.least), sum.most < 0 || one.most < 0 ? -1 : std::max(sum.most, one.most)};
      }
      return sum;
    default:
      for (const auto& p : e.parts) {
        Lengths one = lengths_of(*p);
        sum = {sum.least + one.least, sum.most < 0 || one.most < 0 ? -1 : sum.most + one.most};
      }
      return sum;
  }
}

ExprPtr integers_between(int64_t low, int64_t high) {
  std::vector<ExprPtr> parts;
  if (low < 0 && low <= std::min<int64_t>(high, -1)) parts.push_back(sequence({text("-"), naturals(high < 0 ? -high : 1, -low)}));
  if (high >= 0 && std::max<int64_t>(low, 0) <= high) parts.push_back(naturals(std::max<int64_t>(low, 0), high));
  return choice(std::move(parts));
}

ExprPtr decimals_between(int64_t low, int64_t high, int places) {
  int64_t one = 1;
  for (int i = 0; i < places; ++i) one *= 10;
  auto floor_of = [one](int64_t v) { return v >= 0 ? v / one : -((-v + one - 1) / one); };
  auto ceil_of = [one](int64_t v) { return v >= 0 ? (v + one - 1) / one : -(-v / one); };
  std::vector<ExprPtr> parts;
  if (ceil_of(low) <= floor_of(high)) parts.push_back(integers_between(ceil_of(low), floor_of(high)));
  ExprPtr more = repeat(chars(kDigits), places ? 0 : 1, 12);
  // Magnitudes; behind the largest only zeros may follow, since anything else would lie beyond.
  auto side = [&](int64_t from, int64_t to, const char* sign) {
    if (from > to) return;
    ExprPtr zeros = repeat(text("0"), places ? 0 : 1, 12);
    parts.push_back(sequence({text(sign), places ? fixed(to, to, places) : text(std::to_string(to) + "."), zeros}));
    if (from > to - 1) return;
    ExprPtr whole = places ? fixed(from, to - 1, places) : sequence({naturals(from, to - 1), text(".")});
    parts.push_back(sequence({text(sign), whole, more}));
  };
  if (low < 0) side(high < 0 ? -high : 0, -low, "-");
  if (high >= 0) side(std::max<int64_t>(low, 0), high, "");
  return choice(std::move(parts));
}

namespace {

const std::map<std::string_view, std::string_view>& formats() {
#define YEAR "[0-9]{4}"
#define LEAP "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
#define DATE                                                                                                              \
  "(" YEAR "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|" LEAP \
  "-02-29)"
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define NUM "[0-9]{1,9}"
#define DURATION_TIME "T(" NUM "H(" NUM "M(" NUM "S)?)?|" NUM "M(" NUM "S)?|" NUM "S)"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define H "[0-9a-fA-F]{1,4}"
  static const std::map<std::string_view, std::string_view> all = {
      {"date", "^" DATE "$"},
      {"time", "^" TIME "$"},
      {"date-time", "^" DATE "T" TIME "$"},
      {"duration", "^P(" NUM "W|(" NUM "Y(" NUM "M(" NUM "D)?)?|" NUM "M(" NUM "D)?|" NUM "D)(" DURATION_TIME ")?|" DURATION_TIME ")$"},
      {"email", "^[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,31}){0,3}@" LABEL "(\\." LABEL "){1,4}$"},
      {"hostname", "^" LABEL "(\\." LABEL "){0,3}$"},
      {"ipv4", "^" BYTE "(\\." BYTE "){3}$"},
      {"ipv6", "^((" H ":){7}" H "|(" H ":){6}:" H "|(" H ":){5}(:" H "){1,2}|(" H ":){4}(:" H "){1,3}|(" H ":){3}(:" H "){1,4}|(" H ":){2}(:" H
               "){1,5}|" H ":(:" H "){1,6}|:((:" H "){1,7}|:))$"},
      {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
      {"uri", "^[A-Za-z][A-Za-z0-9+.-]{1,15}:([A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,500}$"},
      {"json-pointer", "^(/([^~/]|~[01])*)*$"},
  };
  return all;
}

}  // namespace

ExprPtr format_expr(std::string_view format) {
  auto it = formats().find(format);
  return it == formats().end() ? nullptr : pattern_expr(it->second);
}

std::string known_formats() {
  std::string out;
  for (const auto& [name, pattern] : formats()) out += (out.empty() ? "" : ", ") + std::string(name);
  return out;
}

}  // namespace ingot::grammar
