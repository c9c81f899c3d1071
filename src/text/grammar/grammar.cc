#include "text/grammar/grammar.h"

#include <algorithm>

namespace ingot::grammar {
namespace {

ExprPtr make(Expr e) { return std::make_shared<const Expr>(std::move(e)); }

}  // namespace

ExprPtr text(std::string bytes) { return make({.kind = Expr::Kind::kText, .text = std::move(bytes), .ranges = {}, .parts = {}}); }
ExprPtr chars(std::vector<CodeRange> ranges) { return make({.kind = Expr::Kind::kClass, .text = {}, .ranges = merged(std::move(ranges)), .parts = {}}); }
ExprPtr sequence(std::vector<ExprPtr> parts) { return make({.kind = Expr::Kind::kSequence, .text = {}, .ranges = {}, .parts = std::move(parts)}); }
ExprPtr choice(std::vector<ExprPtr> parts) { return make({.kind = Expr::Kind::kChoice, .text = {}, .ranges = {}, .parts = std::move(parts)}); }
ExprPtr repeat(ExprPtr part, int32_t least, int32_t most) {
  return make({.kind = Expr::Kind::kRepeat, .text = {}, .ranges = {}, .parts = {std::move(part)}, .least = least, .most = most});
}
ExprPtr optional(ExprPtr part) { return repeat(std::move(part), 0, 1); }
ExprPtr rule(int32_t index) { return make({.kind = Expr::Kind::kRule, .text = {}, .ranges = {}, .parts = {}, .rule = index}); }

std::vector<CodeRange> merged(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const CodeRange& a, const CodeRange& b) { return a.low < b.low; });
  std::vector<CodeRange> out;
  for (const CodeRange& r : ranges) {
    if (!out.empty() && r.low <= out.back().high + 1) out.back().high = std::max(out.back().high, r.high);
    else out.push_back(r);
  }
  return out;
}

std::vector<CodeRange> intersection(const std::vector<CodeRange>& a, const std::vector<CodeRange>& b) {
  std::vector<CodeRange> out;
  for (const CodeRange& x : a)
    for (const CodeRange& y : b)
      if (std::max(x.low, y.low) <= std::min(x.high, y.high)) out.push_back({std::max(x.low, y.low), std::min(x.high, y.high)});
  return merged(std::move(out));
}

std::vector<CodeRange> complement(std::vector<CodeRange> ranges) {
  std::vector<CodeRange> out;
  uint32_t next = 0;
  for (const CodeRange& r : merged(std::move(ranges))) {
    if (r.low > next) out.push_back({next, r.low - 1});
    next = r.high + 1;
  }
  if (next <= 0x10ffff) out.push_back({next, 0x10ffff});
  return intersection(out, {{0, 0xd7ff}, {0xe000, 0x10ffff}});
}

}  // namespace ingot::grammar
