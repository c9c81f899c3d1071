// Regular expressions in RE2's syntax, as a grammar of one rule.
#include <algorithm>

#include "text/grammar/grammar.h"
#include "text/grammar/source_reader.h"

namespace ingot::grammar {
namespace {

const std::vector<CodeRange> kDigit{{'0', '9'}}, kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, kSpace{{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};

class RegexParser {
 public:
  explicit RegexParser(std::string_view source) : in_{source, "regular expression"} {}

  // Anchored: ^ and $ at the ends say what holds anyhow. Searching: without them anything may stand before and after.
  ExprPtr parse(bool searching) {
    searching_ = searching;
    ExprPtr all = alternatives(0);
    if (!in_.done()) in_.fail("\")\" has no \"(\" before it");
    return all;
  }

 private:
  ExprPtr alternatives(int depth) {
    if (depth > kMaxNesting) in_.fail("parentheses are nested deeper than " + std::to_string(kMaxNesting));
    const bool fold = fold_, dot_all = dot_all_;  // flags set within end with the group
    std::vector<ExprPtr> parts{items(depth)};
    while (in_.take("|")) parts.push_back(items(depth));
    fold_ = fold, dot_all_ = dot_all;
    return parts.size() == 1 ? parts[0] : choice(std::move(parts));
  }

  ExprPtr items(int depth) {
    std::vector<ExprPtr> parts;
    bool begins = false, ends = false;
    while (!in_.done() && in_.peek() != '|' && in_.peek() != ')') {
      if (ends) in_.fail("\"$\" is supported at the end of the expression only");
      if (in_.take("^") || in_.take("\\A")) {
        if (depth || !parts.empty()) in_.fail("\"^\" is supported at the beginning of the expression only");
        begins = true;
        continue;
      }
      if (in_.take("$") || in_.take("\\z") || in_.take("\\Z")) {
        if (depth) in_.fail("\"$\" is supported at the end of the expression only");
        ends = true;
        continue;
      }
      ExprPtr one = item(depth);
      if (!one) continue;  // flags
      parts.push_back(quantified(one));
    }
    if (searching_ && !depth) {
      ExprPtr any = repeat(chars(complement({})), 0, -1);
      if (!begins) parts.insert(parts.begin(), any);
      if (!ends) parts.push_back(any);
    }
    return parts.size() == 1 ? parts[0] : sequence(std::move(parts));
  }

  ExprPtr quantified(ExprPtr one) {
    for (bool repeated = false;; repeated = true) {
      int32_t least = 0, most = -1;
      if (in_.take("*")) {
      } else if (in_.take("+")) {
        least = 1;
      } else if (in_.take("?")) {
        most = 1;
      } else if (in_.peek() == '{' && counted()) {
        ++in_.at;
        least = most = in_.peek() == ',' ? 0 : in_.number();
        if (in_.take(",")) most = in_.digit() ? in_.number() : -1;
        in_.take("}");
        if (most >= 0 && most < least) in_.fail("the repetition ends before it begins");
      } else {
        return one;
      }
      if (repeated) in_.fail("two repetitions follow each other", "put the first in parentheses");
      if (in_.peek() == '+') in_.fail("possessive repetition is not supported");
      in_.take("?");  // lazy: the same texts
      one = repeat(one, least, most);
    }
  }

  bool counted() const {  // "{" is itself unless a count follows
    size_t i = 1;
    bool digits = false, comma = false;
    for (; in_.peek(i) != '}'; ++i) {
      char c = in_.peek(i);
      if (c >= '0' && c <= '9') digits = true;
      else if (c == ',' && !comma) comma = true;
      else return false;
    }
    return digits;
  }

  ExprPtr group(int depth) {
    if (in_.take("?")) {
      if (in_.peek() == '=' || in_.peek() == '!') in_.fail("look-ahead is not supported");
      if (in_.peek() == '<' && (in_.peek(1) == '=' || in_.peek(1) == '!')) in_.fail("look-behind is not supported");
      if (in_.peek() == '>') in_.fail("atomic groups are not supported");
      if (in_.take("P<") || in_.take("<")) {
        while (!in_.done() && in_.peek() != '>') ++in_.at;
        if (!in_.take(">")) in_.fail("the group's name is not closed with >");
      } else {
        const bool fold = fold_, dot_all = dot_all_;
        bool on = true;
        while (!in_.done() && in_.peek() != ':' && in_.peek() != ')') {
          char c = in_.peek();
          if (c == '-') on = false;
          else if (c == 'i') fold_ = on;
          else if (c == 's') dot_all_ = on;
          else in_.fail(std::string("the flag \"") + c + "\" is not supported");
          ++in_.at;
        }
        if (in_.take(")")) return nullptr;  // until the end of this group
        if (!in_.take(":")) in_.fail("\":\" is expected after the flags");
        ExprPtr inner = alternatives(depth + 1);
        fold_ = fold, dot_all_ = dot_all;
        if (!in_.take(")")) in_.fail("\")\" is expected");
        return inner;
      }
    }
    ExprPtr inner = alternatives(depth + 1);
    if (!in_.take(")")) in_.fail("\")\" is expected");
    return inner;
  }

  ExprPtr item(int depth) {
    char c = in_.peek();
    if (c == '(') {
      ++in_.at;
      return group(depth);
    }
    if (c == '[') {
      ++in_.at;
      return set();
    }
    if (c == '.') {
      ++in_.at;
      return chars(dot_all_ ? complement({}) : complement({{'\n', '\n'}}));
    }
    if (c == '*' || c == '+' || c == '?') in_.fail(std::string("\"") + c + "\" has nothing before it to repeat");
    if (c == '\\') {
      if (auto named = class_escape()) return chars(*named);
      return single(escaped());
    }
    return single(in_.code_point());
  }

  ExprPtr single(uint32_t code) {
    auto folded = fold({{code, code}});
    if (folded.size() == 1 && folded[0].low == folded[0].high) return text(utf8_of(code));
    return chars(folded);
  }

  std::vector<CodeRange> fold(std::vector<CodeRange> ranges) const {
    if (!fold_) return merged(std::move(ranges));
    std::vector<CodeRange> out = ranges;
    for (const CodeRange& r : ranges) {  // ASCII letters; others stay as they are written
      for (uint32_t c = std::max<uint32_t>(r.low, 'a'); c <= std::min<uint32_t>(r.high, 'z'); ++c) out.push_back({c - 32, c - 32});
      for (uint32_t c = std::max<uint32_t>(r.low, 'A'); c <= std::min<uint32_t>(r.high, 'Z'); ++c) out.push_back({c + 32, c + 32});
    }
    return merged(std::move(out));
  }

  // \d, \w, \s and their opposites.
  const std::vector<CodeRange>* class_escape() {
    char c = in_.peek(1);
    const std::vector<CodeRange>& plain = c == 'd' || c == 'D' ? kDigit : c == 'w' || c == 'W' ? kWord : kSpace;
    if (!c || std::string_view("dDwWsS").find(c) == std::string_view::npos) return nullptr;
    in_.at += 2;
    class_ = c < 'a' ? complement(plain) : plain;
    return &class_;
  }

  uint32_t escaped() {
    ++in_.at;
    if (in_.done()) in_.fail("it ends within an escape");
    char c = in_.peek();
    if (c == 'b' || c == 'B') in_.fail(std::string("the word boundary \\") + c + " is not supported");
    if (c == 'p' || c == 'P') in_.fail(std::string("Unicode classes (\\") + c + ") are not supported", "list the ranges of characters");
    if (c >= '1' && c <= '9') in_.fail("back references are not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '0') {
      ++in_.at;
      switch (c) {
        case 'n': return '\n';
        case 't': return '\t';
        case 'r': return '\r';
        case 'f': return '\f';
        case 'v': return '\v';
        case 'a': return '\a';
        case '0': return 0;
        case 'x':
          if (in_.take("{")) {
            size_t start = in_.at;
            while (in_.peek() && in_.peek() != '}' && in_.at - start < 8) ++in_.at;
            int digits = static_cast<int>(in_.at - start);
            in_.at = start;
            uint32_t code = in_.hex(std::max(1, digits));
            if (!in_.take("}")) in_.fail("\"}\" is expected");
            return code;
          }
          return in_.hex(2);
        case 'u': return in_.hex(4);
        default: --in_.at; in_.fail(std::string("the escape \\") + c + " is not supported");
      }
    }
    return in_.code_point();
  }

  ExprPtr set() {
    bool negated = in_.take("^");
    std::vector<CodeRange> ranges;
    for (bool first = true; first || in_.peek() != ']'; first = false) {
      if (in_.done()) in_.fail("the class is not closed with ]");
      if (in_.take("[:")) {
        size_t close = in_.source.find(":]", in_.at);
        std::string_view name = close == std::string_view::npos ? std::string_view() : in_.source.substr(in_.at, close - in_.at);
        std::vector<CodeRange> found = name == "alpha"   ? std::vector<CodeRange>{{'A', 'Z'}, {'a', 'z'}}
                                       : name == "digit" ? kDigit
                                       : name == "alnum" ? std::vector<CodeRange>{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}
                                       : name == "upper" ? std::vector<CodeRange>{{'A', 'Z'}}
                                       : name == "lower" ? std::vector<CodeRange>{{'a', 'z'}}
                                       : name == "space" ? std::vector<CodeRange>{{'\t', '\r'}, {' ', ' '}}
                                       : name == "xdigit" ? std::vector<CodeRange>{{'0', '9'}, {'A', 'F'}, {'a', 'f'}}
                                       : name == "punct" ? std::vector<CodeRange>{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}
                                                         : std::vector<CodeRange>{};
        if (found.empty()) in_.fail("the class [:" + std::string(name) + ":] is not known");
        in_.at = close + 2;
        ranges.insert(ranges.end(), found.begin(), found.end());
        continue;
      }
      if (in_.peek() == '\\')
        if (auto named = class_escape()) {
          ranges.insert(ranges.end(), named->begin(), named->end());
          continue;
        }
      uint32_t low = in_.peek() == '\\' ? escaped() : in_.code_point(), high = low;
      if (in_.peek() == '-' && in_.peek(1) != ']' && in_.peek(1) != '\0') {
        ++in_.at;
        high = in_.peek() == '\\' ? escaped() : in_.code_point();
        if (high < low) in_.fail("the range ends before it begins");
      }
      ranges.push_back({low, high});
    }
    ++in_.at;
    ranges = fold(std::move(ranges));
    return chars(negated ? complement(std::move(ranges)) : std::move(ranges));
  }

  SourceReader in_;
  std::vector<CodeRange> class_;
  bool searching_ = false, fold_ = false, dot_all_ = false;
};

}  // namespace

Grammar parse_regex(std::string_view pattern) {
  Grammar g;
  g.root = g.add("root", RegexParser(pattern).parse(false));
  return g;
}

ExprPtr pattern_expr(std::string_view pattern) { return RegexParser(pattern).parse(true); }

}  // namespace ingot::grammar
