#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

void clean_up(std::string& text) {
  constexpr std::string_view kPairs[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},           {" ,", ","},   {" ' ", "'"},  {" n't", "n't"},
                                            {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kPairs) replace_all(text, from, to);
}

}  // namespace

std::string Tokenizer::detokenize(std::span<const int32_t> ids, bool with_special) const {
  const Decoding& d = parts_->decoding;
  std::string out, bytes;
  bool first = true;
  // Byte tokens in a row are text if they are UTF-8, else each is one U+FFFD.
  auto flush = [&] {
    if (valid_utf8(bytes)) out += bytes;
    else
      for (size_t i = 0; i < bytes.size(); ++i) out += "\xef\xbf\xbd";
    bytes.clear();
  };
  for (int32_t id : ids) {
    if (id < 0 || id >= size() || (!with_special && is_special(id))) continue;
    std::string token(piece(id));
    if (d.byte_tokens && parts_->vocab[id].size() == 6 && parts_->vocab[id].starts_with("<0x") && token.size() == 1) {
      bytes += token;
      first = false;
      continue;
    }
    flush();
    if (d.words && !first) {
      if (token.starts_with(parts_->word_prefix)) token.erase(0, parts_->word_prefix.size());
      else token.insert(0, " ");
    }
    if (d.words && d.clean_up) clean_up(token);
    if (first && d.strip_first_token) token.erase(0, token.find_first_not_of(' '));
    first = false;
    out += token;
  }
  flush();
  if (d.strip_first && out.starts_with(' ')) out.erase(0, 1);
  return repair_utf8(out);
}

}  // namespace ingot
