#include "text/pre_tokenize.h"

#include "text/character_class.h"
#include "text/utf8.h"

namespace ingot {
namespace {

using enum CharacterClass;
using Class = CharacterClass;

struct Character {
  Class kind;
  uint8_t bytes;
};

Character at(std::string_view s, size_t i) {
  const Utf8Character c = utf8_at(s, i);
  return {class_of(c.code), c.bytes};
}

template <class Keep>
size_t run(std::string_view s, size_t i, Keep keep, size_t most = SIZE_MAX) {
  while (i < s.size() && most-- > 0) {
    const Character c = at(s, i);
    if (!keep(c.kind)) break;
    i += c.bytes;
  }
  return i;
}

bool is_mark(Class c) { return c == kMark; }
bool is_number(Class c) { return c == kNumber; }
bool is_symbol(Class c) { return c <= kMark; }  // neither space, letter nor number
bool is_capital_part(Class c) { return c == kUpper || c == kLetter || c == kMark; }
bool is_small_part(Class c) { return c == kLower || c == kLetter || c == kMark; }

// 's 't 're 've 'm 'll 'd at i; bytes matched or 0.
size_t contraction(std::string_view s, size_t i, bool any_case) {
  if (i + 1 >= s.size() || s[i] != '\'') return 0;
  auto low = [&](size_t j) { return j < s.size() ? static_cast<char>(any_case && s[j] >= 'A' && s[j] <= 'Z' ? s[j] + 32 : s[j]) : '\0'; };
  const char a = low(i + 1), b = low(i + 2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (any_case && s.substr(i + 1, 2) == "\xc5\xbf") return 3;  // long s folds to s
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return 0;
}

// \s+(?!\S)|\s+ at i, which is a space.
size_t spaces(std::string_view s, size_t i) {
  size_t end = i, last = i;
  while (end < s.size()) {
    const Character c = at(s, end);
    if (!is_space(c.kind)) break;
    last = end;
    end += c.bytes;
  }
  return end < s.size() && last > i ? last : end;  // leaves one space for the word that follows
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at i, which is a space.
size_t spaces_or_lines(std::string_view s, size_t i) {
  size_t end = i, last = i, newline = i;
  while (end < s.size()) {
    const Character c = at(s, end);
    if (!is_space(c.kind)) break;
    last = end;
    end += c.bytes;
    if (c.kind == kNewline) newline = end;
  }
  if (newline > i) return newline;
  return end < s.size() && last > i ? last : end;
}

size_t gpt2(std::string_view s, size_t i) {
  if (size_t n = contraction(s, i, false)) return i + n;
  const size_t start = i + (s[i] == ' ' && i + 1 < s.size() ? 1 : 0);
  const Class k = at(s, start).kind;
  if (is_letter(k)) return run(s, start, is_letter);
  if (k == kNumber) return run(s, start, is_number);
  if (is_symbol(k)) return run(s, start, is_symbol);
  return spaces(s, i);
}

// What follows the words in the newer expressions: digits, symbols with the line ends after them, white space.
template <class Symbol>
size_t others(std::string_view s, size_t i, size_t digits, bool slashes, Symbol symbol) {
  const Character c = at(s, i);
  if (c.kind == kNumber) return run(s, i, is_number, digits);
  const size_t start = s[i] == ' ' && i + 1 < s.size() ? i + 1 : i;
  if (!symbol(at(s, start).kind)) return spaces_or_lines(s, i);
  size_t end = run(s, start, symbol);
  while (end < s.size() && (s[end] == '\r' || s[end] == '\n' || (slashes && s[end] == '/'))) ++end;
  return end;
}

size_t llama3(std::string_view s, size_t i, size_t digits) {
  if (size_t n = contraction(s, i, true)) return i + n;
  const Character c = at(s, i);
  if (is_letter(c.kind)) return run(s, i, is_letter);
  const size_t next = i + c.bytes;
  if (c.kind != kNewline && c.kind != kNumber && next < s.size() && is_letter(at(s, next).kind)) return run(s, next, is_letter);
  return others(s, i, digits, false, is_symbol);
}

size_t qwen35(std::string_view s, size_t i) {
  if (size_t n = contraction(s, i, true)) return i + n;
  auto part = [](Class k) { return is_letter(k) || k == kMark; };
  const Character c = at(s, i);
  const size_t next = i + c.bytes;
  if (!is_letter(c.kind) && c.kind != kNewline && c.kind != kNumber && next < s.size() && part(at(s, next).kind)) return run(s, next, part);
  if (part(c.kind)) return run(s, i, part);
  return others(s, i, 1, false, [](Class k) { return k == kOther || k == kPunctuation; });
}

// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ at i; the end or 0.
size_t small_word(std::string_view s, size_t i) {
  size_t end = i, last = 0;
  while (end < s.size()) {
    const Character c = at(s, end);
    if (!is_capital_part(c.kind)) break;
    end += c.bytes;
    if (c.kind != kUpper) last = end;
  }
  if (end < s.size() && at(s, end).kind == kLower) return run(s, end, is_small_part);
  return last;  // the capitals give back as far as the last that also counts as small
}

// Words that begin at a change from small to capital letters; bytes or 0.
size_t cased_word(std::string_view s, size_t i) {
  const Character c = at(s, i);
  if (c.kind == kNewline || c.kind == kNumber) return 0;
  const size_t next = i + c.bytes;
  const bool prefix = !is_letter(c.kind) && next < s.size();
  if (prefix)
    if (size_t end = small_word(s, next)) return end;
  if (is_letter(c.kind) || is_mark(c.kind))
    if (size_t end = small_word(s, i)) return end;
  if (prefix)
    if (size_t end = run(s, next, is_capital_part); end > next) return end;
  return is_capital_part(c.kind) ? run(s, i, is_capital_part) : 0;
}

size_t tekken(std::string_view s, size_t i) {
  if (size_t end = cased_word(s, i)) return end;
  return others(s, i, 1, true, is_symbol);
}

size_t o200k(std::string_view s, size_t i) {
  if (size_t end = cased_word(s, i)) return end + contraction(s, end, true);
  return others(s, i, 3, true, is_symbol);
}

template <class Next, class Visit>
void scan(std::string_view s, Next next, Visit visit) {
  for (size_t i = 0; i < s.size();) {
    const size_t end = next(s, i);
    visit(s.substr(i, end - i));
    i = end;
  }
}

// Characters of a kind alone (or in runs), what is between them together.
template <class Is, class Visit>
void isolate(std::string_view s, bool runs, Is is, Visit visit) {
  size_t start = 0;
  for (size_t i = 0; i < s.size();) {
    const Utf8Character c = utf8_at(s, i);
    size_t end = i + c.bytes;
    if (is(c.code)) {
      if (i > start) visit(s.substr(start, i - start));
      while (runs && end < s.size() && is(utf8_at(s, end).code)) end += utf8_at(s, end).bytes;
      visit(s.substr(i, end - i));
      start = end;
    }
    i = end;
  }
  if (start < s.size()) visit(s.substr(start));
}

template <class Visit>
void drop_white_space(std::string_view s, Visit visit) {
  size_t start = 0;
  for (size_t i = 0; i < s.size();) {
    const Character c = at(s, i);
    if (is_space(c.kind)) {
      if (i > start) visit(s.substr(start, i - start));
      start = i + c.bytes;
    }
    i += c.bytes;
  }
  if (start < s.size()) visit(s.substr(start));
}

template <class Visit>
void words(std::string_view s, Visit visit) {
  auto kind = [](int32_t c) { return is_space(class_of(c)) ? 0 : is_word_character(c) ? 1 : 2; };
  for (size_t i = 0; i < s.size();) {
    const int first = kind(utf8_at(s, i).code);
    size_t end = i;
    while (end < s.size() && kind(utf8_at(s, end).code) == first) end += utf8_at(s, end).bytes;
    if (first != 0) visit(s.substr(i, end - i));
    i = end;
  }
}

// Each space ends the piece before it; a further one is a piece of its own.
template <class Visit>
void after_spaces(std::string_view s, Visit visit) {
  size_t start = 0;
  for (size_t i = 0; i < s.size(); ++i)
    if (s[i] == ' ') {
      visit(s.substr(start, i + 1 - start));
      start = i + 1;
    }
  if (start < s.size()) visit(s.substr(start));
}

// A piece begins at each U+2581; with `runs` only at the first of a run.
template <class Visit>
void before_marks(std::string_view s, bool runs, Visit visit) {
  size_t start = 0, next = s.find(kMetaspaceMark);
  while (next != std::string_view::npos) {
    if (next > start && !(runs && s.substr(0, next).ends_with(kMetaspaceMark))) {
      visit(s.substr(start, next - start));
      start = next;
    }
    next = s.find(kMetaspaceMark, next + kMetaspaceMark.size());
  }
  if (start < s.size()) visit(s.substr(start));
}

std::string with_marks(std::string_view s) {
  std::string out;
  out.reserve(s.size() + s.size() / 4 + 4);
  for (char c : s) {
    if (c == ' ') out += kMetaspaceMark;
    else out += c;
  }
  return out;
}

class Cutter {
 public:
  Cutter(const std::vector<CutStep>& steps, const PieceVisitor& visit) : steps_(steps), visit_(visit) {}

  void run(size_t step, std::string_view s, bool at_start) const {
    if (s.empty()) return;
    if (step == steps_.size()) return visit_(s);
    const char* front = s.data();
    auto next = [&, step](std::string_view piece) {
      if (step + 1 == steps_.size()) visit_(piece);
      else run(step + 1, piece, at_start && piece.data() == front);
    };
    switch (steps_[step].kind) {
      case CutKind::kGpt2: return scan(s, gpt2, next);
      case CutKind::kLlama3: return scan(s, [](std::string_view t, size_t i) { return llama3(t, i, 3); }, next);
      case CutKind::kQwen2: return scan(s, [](std::string_view t, size_t i) { return llama3(t, i, 1); }, next);
      case CutKind::kTekken: return scan(s, tekken, next);
      case CutKind::kO200k: return scan(s, o200k, next);
      case CutKind::kQwen35: return scan(s, qwen35, next);
      case CutKind::kDigit: return isolate(s, false, is_numeric, next);
      case CutKind::kDigits: return isolate(s, true, is_numeric, next);
      case CutKind::kPunctuation: return isolate(s, false, is_punctuation, next);
      case CutKind::kWhiteSpace: return drop_white_space(s, next);
      case CutKind::kWords: return words(s, next);
      case CutKind::kSpaceAfter: return after_spaces(s, next);
      case CutKind::kBeforeMetaspace: return before_marks(s, true, next);
      case CutKind::kPrefixSpace: {
        if (s[0] == ' ') return next(s);
        std::string text(1, ' ');
        text += s;
        front = text.data();
        return next(text);
      }
      case CutKind::kMetaspace: {
        std::string text = with_marks(s);
        const Prefix prefix = steps_[step].prefix;
        if ((prefix == Prefix::kAlways || (prefix == Prefix::kFirst && at_start)) && !text.starts_with(kMetaspaceMark)) text.insert(0, kMetaspaceMark);
        front = text.data();
        if (!steps_[step].split) return next(text);
        return before_marks(text, false, next);
      }
    }
  }

 private:
  static bool is_punctuation(int32_t c) { return contains(CodeSet::kBertPunctuation, c); }

  const std::vector<CutStep>& steps_;
  const PieceVisitor& visit_;
};

struct Known {
  CutKind kind;
  std::string_view regex;
};

// As published tokenizer.json files spell them; the first of a kind is the one written.
constexpr Known kRegexes[] = {
    {CutKind::kGpt2, R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {CutKind::kGpt2, R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {CutKind::kLlama3, R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {CutKind::kQwen2, R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {CutKind::kTekken, R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {CutKind::kO200k, R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {CutKind::kQwen35, R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

}  // namespace

void cut(const std::vector<CutStep>& steps, std::string_view text, bool at_start, const PieceVisitor& visit) {
  Cutter(steps, visit).run(0, text, at_start);
}

std::vector<CutStep> cuts_of(PreTokenizer kind) {
  switch (kind) {
    case PreTokenizer::kGpt2: return {{CutKind::kGpt2}};
    case PreTokenizer::kSmolLm: return {{CutKind::kDigit}, {CutKind::kGpt2}};
    case PreTokenizer::kLlama3: return {{CutKind::kLlama3}};
    case PreTokenizer::kQwen2: return {{CutKind::kQwen2}};
    case PreTokenizer::kTekken: return {{CutKind::kTekken}};
    case PreTokenizer::kO200k: return {{CutKind::kO200k}};
    case PreTokenizer::kQwen35: return {{CutKind::kQwen35}};
  }
  return {};
}

void pre_tokenize(PreTokenizer kind, std::string_view text, std::vector<std::string_view>& pieces) {
  cut(cuts_of(kind), text, true, [&](std::string_view piece) { pieces.push_back(piece); });
}

std::optional<CutKind> cut_of_regex(std::string_view regex) {
  for (const Known& k : kRegexes)
    if (k.regex == regex) return k.kind;
  return std::nullopt;
}

std::string_view regex_of(CutKind kind) {
  for (const Known& k : kRegexes)
    if (k.kind == kind) return k.regex;
  return {};
}

}  // namespace ingot
