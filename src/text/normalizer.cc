#include "text/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "text/character_class.h"
#include "text/utf8.h"

namespace ingot {
namespace {

bool is_ascii(char c) { return static_cast<signed char>(c) >= 0; }

std::string mapped(std::string_view text, utf8proc_option_t options) {
  utf8proc_uint8_t* out = nullptr;
  const auto n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &out, options);
  if (n < 0) return std::string(text);
  std::string result(reinterpret_cast<char*>(out), static_cast<size_t>(n));
  std::free(out);
  return result;
}

// f(character, out) for each character.
template <class F>
void rewrite(std::string& text, F f) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Character c = utf8_at(text, i);
    f(c.code, std::string_view(text).substr(i, c.bytes), out);
    i += c.bytes;
  }
  text = std::move(out);
}

void lower(int32_t c, std::string_view self, std::string& out) {
  if (c < 128) out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  else if (c == 0x130) out += "i\xcc\x87";
  else if (int32_t l = lower_case(c); l != c) append_utf8(out, l);
  else out += self;
}

bool is_chinese(int32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

}  // namespace

void bound_growth(size_t made, size_t given) {
  if (made > (size_t{1} << 20) + 64 * given)
    bad_input("a normalizer makes " + std::to_string(made) + " bytes of " + std::to_string(given), "tokenizer", "use the model's own, complete tokenizer");
}

// ASCII changes in no form, so the work is on runs of other characters, each with the ASCII character that it may join. What the
// reference leaves alone ends a run.
NormalizeStep unicode_step(UnicodeForm form) {
  int options = UTF8PROC_STABLE;
  options |= form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd) options |= UTF8PROC_COMPAT;
  return [options](std::string& text, bool) {
    if (std::all_of(text.begin(), text.end(), is_ascii)) return;
    std::string out;
    out.reserve(text.size() + 16);
    size_t done = 0;  // before it all is in `out`
    for (size_t i = 0; i < text.size();) {
      if (is_ascii(text[i])) {
        ++i;
        continue;
      }
      const size_t start = i > done && is_ascii(text[i - 1]) ? i - 1 : i;
      size_t end = i, skip = 0;
      while (end < text.size() && !is_ascii(text[end])) {
        const Utf8Character c = utf8_at(text, end);
        if (contains(CodeSet::kLeftAlone, c.code)) {
          skip = c.bytes;
          break;
        }
        end += c.bytes;
      }
      out.append(text, done, start - done);
      if (end > start) out += mapped(std::string_view(text).substr(start, end - start), static_cast<utf8proc_option_t>(options));
      out.append(text, end, skip);
      done = i = end + skip;
    }
    out.append(text, done, text.size() - done);
    text = std::move(out);
  };
}

NormalizeStep lower_step() {
  return [](std::string& text, bool) { rewrite(text, lower); };
}

NormalizeStep strip_accents_step() {
  return [](std::string& text, bool) {
    rewrite(text, [](int32_t c, std::string_view self, std::string& out) {
      if (class_of(c) != CharacterClass::kMark) out += self;
    });
  };
}

NormalizeStep strip_step(bool left, bool right) {
  return [left, right](std::string& text, bool) {
    size_t begin = 0, end = 0;
    bool seen = false;
    for (size_t i = 0; i < text.size();) {
      const Utf8Character c = utf8_at(text, i);
      const bool space = is_space(class_of(c.code));
      if (!space && !seen) begin = i, seen = true;
      i += c.bytes;
      if (!space) end = i;
    }
    if (!seen) begin = end = left ? text.size() : 0;
    if (right) text.erase(end);
    if (left) text.erase(0, std::min(begin, text.size()));
  };
}

NormalizeStep prepend_step(std::string prefix) {
  return [prefix = std::move(prefix)](std::string& text, bool) {
    if (!text.empty()) text.insert(0, prefix);
  };
}

NormalizeStep replace_step(std::string from, std::string to) { return replace_runs_step(std::move(from), 1, std::move(to)); }

NormalizeStep replace_runs_step(std::string from, size_t least, std::string to) {
  return [from = std::move(from), least, to = std::move(to)](std::string& text, bool) {
    size_t next = text.find(from);
    if (next == std::string::npos || from.empty()) return;
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    size_t done = 0;
    while (next != std::string::npos) {
      size_t end = next + from.size(), count = 1;
      while (least > 1 && text.compare(end, from.size(), from) == 0) end += from.size(), ++count;
      if (count >= least) {
        bound_growth(out.size() + next - done + to.size(), text.size());
        out.append(text, done, next - done);
        out += to;
        done = end;
      }
      next = text.find(from, end);
    }
    out.append(text, done, text.size() - done);
    text = std::move(out);
  };
}

NormalizeStep nmt_step() {
  return [](std::string& text, bool) {
    rewrite(text, [](int32_t c, std::string_view self, std::string& out) {
      if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f) return;
      const bool space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
                         c == 0x2581 || c == 0xfeff || c == 0xfffd;
      if (space) out += ' ';
      else out += self;
    });
  };
}

NormalizeStep bert_step(BertNormalizing o) {
  const NormalizeStep nfd = unicode_step(UnicodeForm::kNfd);
  return [o, nfd](std::string& text, bool) {
    rewrite(text, [&](int32_t c, std::string_view self, std::string& out) {
      if (o.clean && contains(CodeSet::kBertControl, c)) return;
      if (o.clean && is_space(class_of(c))) out += ' ';
      else if (o.space_chinese && is_chinese(c)) ((out += ' ') += self) += ' ';
      else out += self;
    });
    if (o.strip_accents && !std::all_of(text.begin(), text.end(), is_ascii)) {
      nfd(text, false);
      rewrite(text, [](int32_t c, std::string_view self, std::string& out) {
        if (c < 128 || !contains(CodeSet::kBertMark, c)) out += self;
      });
    }
    if (o.lower) rewrite(text, lower);
  };
}

}  // namespace ingot
