#include "text/written_specials.h"

#include <algorithm>
#include <bitset>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace ingot {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr size_t kMarks = 32;  // U+FDD0 to U+FDEF, that no text is meant to hold

std::string mark_number(size_t i) { return {'\xef', '\xb7', static_cast<char>(0x90 + i)}; }

void note_marks_of(std::string_view text, std::bitset<kMarks>& used) {
  for (size_t at = text.find("\xef\xb7"); at != std::string_view::npos && at + 2 < text.size(); at = text.find("\xef\xb7", at + 2)) {
    const auto third = static_cast<unsigned char>(text[at + 2]);
    if (third >= 0x90 && third < 0x90 + kMarks) used.set(third - 0x90);
  }
}

void note_marks(const OrderedJson& value, std::bitset<kMarks>& used) {
  if (value.is_string()) note_marks_of(value.get_ref<const std::string&>(), used);
  else if (value.is_array())
    for (const OrderedJson& item : value) note_marks(item, used);
  else if (value.is_object())
    for (const auto& [key, item] : value.items()) {
      note_marks_of(key, used);
      note_marks(item, used);
    }
}

}  // namespace

WrittenSpecials::WrittenSpecials(const Tokenizer& tokenizer, const OrderedJson& values) : tokenizer_(tokenizer) {
  std::bitset<kMarks> used;
  note_marks(values, used);
  for (size_t i = 0; i < kMarks && mark_.empty(); ++i)
    if (!used.test(i)) mark_ = mark_number(i);
  if (mark_.empty()) bad_input("the conversation holds every noncharacter from U+FDD0 to U+FDEF", "messages", "take them out: they are not for interchange");
}

void WrittenSpecials::mark(std::string& text) const {
  const auto places = tokenizer_.special_places(text);
  for (auto at = places.rbegin(); at != places.rend(); ++at) text.insert(*at + utf8_at(text, *at).bytes, mark_);
}

void WrittenSpecials::mark(OrderedJson& value) const {
  if (value.is_string()) return mark(value.get_ref<std::string&>());
  if (value.is_array())
    for (OrderedJson& item : value) mark(item);
  if (!value.is_object()) return;
  OrderedJson out = OrderedJson::object();
  bool named = false;  // a name changed: the object is made anew
  for (auto& [key, item] : value.items()) {
    std::string name = key;
    mark(name);
    named = named || name != key;
    mark(item);
  }
  if (!named) return;
  for (auto& [key, item] : value.items()) {
    std::string name = key;
    mark(name);
    out[name] = std::move(item);
  }
  value = std::move(out);
}

PromptText WrittenSpecials::take_out(const std::string& raw) const {
  const std::string marked = repair_utf8(raw);
  PromptText out;
  size_t done = 0;
  for (size_t at = marked.find(mark_); at != std::string::npos; at = marked.find(mark_, done)) {
    out.text.append(marked, done, at - done);
    size_t begin = out.text.size();
    while (begin > 0 && (out.text[--begin] & 0xc0) == 0x80) {
    }
    out.written.push_back(begin);
    done = at + mark_.size();
  }
  out.text.append(marked, done);
  out.written.erase(std::unique(out.written.begin(), out.written.end()), out.written.end());
  return out;
}

}  // namespace ingot
