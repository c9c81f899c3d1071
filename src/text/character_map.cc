#include <utf8proc.h>

#include <cstring>

#include "core/error.h"
#include "text/normalizer.h"
#include "text/utf8.h"

namespace ingot {

CharacterMap::CharacterMap(std::string blob, const std::string& name) : blob_(std::move(blob)) {
  uint32_t bytes = 0;
  if (blob_.size() >= 4) std::memcpy(&bytes, blob_.data(), 4);
  if (blob_.size() < 4 || bytes % 4 != 0 || bytes > blob_.size() - 4)
    bad_input("the character map has " + std::to_string(blob_.size()) + " bytes, but its trie says " + std::to_string(bytes), name, "use a complete model file");
  if (!valid_utf8(std::string_view(blob_).substr(4 + bytes))) bad_input("the character map's texts are not UTF-8", name, "use a complete model file");
  units_ = bytes / 4;
}

uint32_t CharacterMap::unit(size_t i) const {
  uint32_t u;
  std::memcpy(&u, blob_.data() + 4 + 4 * i, 4);
  return u;
}

std::string_view CharacterMap::replacement(uint32_t offset) const {
  const std::string_view texts = std::string_view(blob_).substr(4 + 4 * units_);
  if (offset >= texts.size() || (texts[offset] & 0xc0) == 0x80) return {};  // nothing, or the middle of a character
  const size_t end = texts.find('\0', offset);
  return texts.substr(offset, end == std::string_view::npos ? end : end - offset);
}

// The layout is darts-clone's: a unit holds a label, whether a value follows, and an offset that is combined by XOR.
template <class Found>
void CharacterMap::walk(std::string_view text, Found found) const {
  auto offset = [](uint32_t u) -> size_t { return static_cast<size_t>(u >> 10) << ((u & 1u << 9) >> 6); };
  if (units_ == 0) return;
  size_t at = offset(unit(0));
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == 0) return;
    at ^= c;
    if (at >= units_) return;
    const uint32_t u = unit(at);
    if ((u & (1u << 31 | 0xff)) != c) return;
    at ^= offset(u);
    if (at >= units_) return;
    if ((u >> 8 & 1) && !found(i + 1, unit(at) & 0x7fffffff)) return;
  }
}

CharacterMap::Match CharacterMap::shortest(std::string_view text) const {
  Match match;
  walk(text, [&](size_t bytes, uint32_t value) {
    match = {bytes, replacement(value)};
    return false;
  });
  return match;
}

CharacterMap::Match CharacterMap::longest(std::string_view text) const {
  Match match;
  int found = 0;
  walk(text, [&](size_t bytes, uint32_t value) {
    if (bytes == text.size() || (text[bytes] & 0xc0) != 0x80) match = {bytes, replacement(value)};  // never half a character
    return ++found < 32;
  });
  return match;
}

NormalizeStep precompiled_step(std::shared_ptr<const CharacterMap> map) {
  return [map](std::string& text, bool) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      size_t end = i;  // of the grapheme cluster
      int32_t previous = 0, state = 0;
      do {
        const Utf8Character c = utf8_at(text, end);
        if (end > i && utf8proc_grapheme_break_stateful(previous, c.code, &state)) break;
        previous = c.code;
        end += c.bytes;
      } while (end < text.size());
      const std::string_view cluster = std::string_view(text).substr(i, end - i);
      i = end;
      if (cluster.size() < 6)
        if (auto match = map->shortest(cluster); match.bytes) {
          bound_growth(out.size() + match.with.size(), text.size());
          out += match.with;
          continue;
        }
      for (size_t k = 0; k < cluster.size();) {
        const std::string_view character = cluster.substr(k, utf8_length(static_cast<unsigned char>(cluster[k])));
        const auto match = map->shortest(character);
        bound_growth(out.size() + match.with.size(), text.size());
        out += match.bytes ? match.with : character;
        k += character.size();
      }
    }
    text = std::move(out);
  };
}

NormalizeStep sentence_piece_step(SentencePieceNormalizing o) {
  return [o](std::string& text, bool at_start) {
    std::string_view rest = text;
    size_t used = 0;
    auto next = [&]() -> std::string_view {  // the front of `rest`, normalised; sets `used`
      if (o.kept)
        if (auto [bytes, id] = o.kept->longest(rest); id >= 0) return rest.substr(0, used = bytes);
      if (o.map)
        if (auto match = o.map->longest(rest); match.bytes) {
          used = match.bytes;
          return match.with;
        }
      used = utf8_length(static_cast<unsigned char>(rest[0]));
      return rest.substr(0, used);
    };
    if (o.remove_extra_spaces)
      while (!rest.empty() && next() == " ") rest.remove_prefix(used);
    std::string out;
    out.reserve(rest.size() + rest.size() / 4 + 4);
    if (!rest.empty() && (o.dummy_prefix == Prefix::kAlways || (o.dummy_prefix == Prefix::kFirst && at_start))) out += kMetaspaceMark;
    bool after_space = o.remove_extra_spaces;
    while (!rest.empty()) {
      std::string_view piece = next();
      rest.remove_prefix(used);
      while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
      if (piece.empty()) continue;
      bound_growth(out.size() + piece.size(), text.size());
      for (char c : piece) {
        if (c == ' ') out += kMetaspaceMark;
        else out += c;
      }
      after_space = o.remove_extra_spaces && piece.ends_with(' ');
    }
    if (o.remove_extra_spaces)
      while (out.ends_with(kMetaspaceMark)) out.resize(out.size() - kMetaspaceMark.size());
    text = std::move(out);
  };
}

}  // namespace ingot
