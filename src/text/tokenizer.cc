#include "text/tokenizer.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"
#include "text/added_tokens.h"
#include "text/piece_cache.h"
#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

constexpr size_t kMostText = size_t{1} << 30;  // positions are 32-bit
constexpr size_t kMostSteps = 32;              // cuts call one another
constexpr size_t kMostPiece = 4096;            // bytes; a scored piece is taken apart by calls of this depth at most
constexpr size_t kCacheFrom = 2048;            // a shorter text does not pay for a thread's first cache

int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

// The byte of <0xHH>, or -1.
int byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  const int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string spaced(std::string_view piece) {
  std::string out;
  for (size_t i = 0; i < piece.size();) {
    if (piece.substr(i).starts_with(kMetaspaceMark)) {
      out += ' ';
      i += kMetaspaceMark.size();
    } else {
      out += piece[i++];
    }
  }
  return out;
}

// Whether no token that merging makes has U+2581 after another character: then text may be cut there first.
bool marks_begin_words(const TokenizerParts& p) {
  auto crosses = [](std::string_view piece) {
    for (size_t at = piece.find(kMetaspaceMark, 1); at != std::string_view::npos; at = piece.find(kMetaspaceMark, at + 1))
      if (!piece.substr(0, at).ends_with(kMetaspaceMark)) return true;
    return false;
  };
  if (p.vocab.find(kMetaspaceMark) < 0 || p.bpe.whole_first) return false;
  if (p.kind == TokenizerKind::kCharacterBpe)
    return std::none_of(p.merges.begin(), p.merges.end(), [&](const Merge& m) { return crosses(p.vocab[m.whole]); });
  for (int32_t id = 0; id < p.vocab.size(); ++id)
    if (crosses(p.vocab[id])) return false;
  return true;
}

std::unique_ptr<const TokenModel> model_of(const TokenizerParts& p) {
  switch (p.kind) {
    case TokenizerKind::kByteBpe:
    case TokenizerKind::kCharacterBpe: return make_bpe(p.vocab, p.merges, p.bpe);
    case TokenizerKind::kScoredBpe:
      return make_scored_bpe(p.vocab, std::vector<float>(p.scores.begin(), p.scores.end()), p.types, p.unknown, p.byte_fallback);
    case TokenizerKind::kUnigram: return make_unigram(p.vocab, p.scores, p.types, p.unknown, p.byte_fallback);
    case TokenizerKind::kWordPiece: return make_word_piece(p.vocab, p.unknown, p.word_prefix, p.most_characters);
  }
  return nullptr;
}

}  // namespace

void refuse_tokenizer(const std::string& problem, const std::string& name) { bad_input(problem, name, "use the model's own, complete tokenizer"); }

Tokenizer::Tokenizer(TokenizerParts given) {
  auto parts = std::make_unique<TokenizerParts>(std::move(given));
  TokenizerParts& p = *parts;
  const int32_t n = p.vocab.size();
  auto check = [&](int32_t id, const char* what) {
    if (id < -1 || id >= n) refuse_tokenizer(std::string(what) + " is " + std::to_string(id) + ", but there are " + std::to_string(n) + " tokens", p.name);
  };
  check(p.bos, "the beginning token"), check(p.eos, "the end token"), check(p.pad, "the padding token"), check(p.unknown, "the unknown token");
  for (int32_t id : p.before) check(id, "a token before the text");
  for (int32_t id : p.after) check(id, "a token after the text");
  for (const AddedToken& t : p.added)
    if (t.text.empty() || t.id < 0 || t.id >= n)
      refuse_tokenizer("the added token \"" + t.text + "\" has the id " + std::to_string(t.id) + " of " + std::to_string(n), p.name);
  for (size_t rank = 0; rank < p.merges.size(); ++rank)
    for (int32_t id : {p.merges[rank].left, p.merges[rank].right, p.merges[rank].whole})
      if (id < 0 || id >= n) refuse_tokenizer("merge " + std::to_string(rank) + " names an unknown token", p.name);
  if (p.cuts.size() > kMostSteps || p.normalize.size() > kMostSteps)
    refuse_tokenizer("there are more than " + std::to_string(kMostSteps) + " steps before the model", p.name);
  if (p.kind == TokenizerKind::kScoredBpe && p.vocab.longest() > kMostPiece)
    refuse_tokenizer("a piece has " + std::to_string(p.vocab.longest()) + " bytes, more than " + std::to_string(kMostPiece), p.name);
  if (p.kind == TokenizerKind::kWordPiece && p.unknown < 0) refuse_tokenizer("there is no unknown token", p.name);
  if (p.kind == TokenizerKind::kScoredBpe || p.kind == TokenizerKind::kUnigram) {
    if (p.scores.size() != static_cast<size_t>(n)) refuse_tokenizer("there are " + std::to_string(p.scores.size()) + " scores for " + std::to_string(n) + " tokens", p.name);
    for (double s : p.scores)
      if (!(s > -1e30 && s < 1e30)) refuse_tokenizer("a score is no usable number", p.name);
  }
  const bool cuts_at_marks = std::any_of(p.cuts.begin(), p.cuts.end(), [](const CutStep& s) { return s.kind == CutKind::kMetaspace && s.split; });
  if ((p.kind == TokenizerKind::kCharacterBpe || p.kind == TokenizerKind::kScoredBpe) && !cuts_at_marks && marks_begin_words(p))
    p.cuts.push_back({CutKind::kBeforeMetaspace});
  model_ = model_of(p);

  std::vector<size_t> raw, normalized;
  std::vector<std::string> raw_patterns, normalized_patterns;
  std::vector<const AddedToken*> added_at(static_cast<size_t>(n));
  for (size_t i = 0; i < p.added.size(); ++i) {
    const AddedToken& t = p.added[i];
    added_at[static_cast<size_t>(t.id)] = &t;
    std::string pattern = t.text;
    if (t.normalized && p.kind != TokenizerKind::kScoredBpe && (p.kind != TokenizerKind::kUnigram || p.types.empty()))
      for (const NormalizeStep& step : p.normalize) step(pattern, true);
    (t.normalized ? normalized : raw).push_back(i);
    (t.normalized ? normalized_patterns : raw_patterns).push_back(std::move(pattern));
  }
  raw_added_ = std::make_unique<const AddedMatcher>(p.added, raw, raw_patterns);
  normalized_added_ = std::make_unique<const AddedMatcher>(p.added, normalized, normalized_patterns);

  p.pieces.reserve(static_cast<size_t>(n), 0);
  for (int32_t id = 0; id < n; ++id) {
    const AddedToken* t = added_at[static_cast<size_t>(id)];
    const std::string_view spelling = t ? std::string_view(t->text) : p.vocab[id];
    const int byte = p.decoding.byte_tokens && !t ? byte_of(spelling) : -1;
    if (byte >= 0) p.pieces.add(std::string(1, static_cast<char>(byte)));
    else if (p.decoding.marks_are_spaces) p.pieces.add(spaced(spelling));
    else p.pieces.add(spelling);
  }
  bos = p.bos, eos = p.eos, pad = p.pad, unknown = p.unknown, ends = p.ends, add_bos = p.add_bos, add_eos = p.add_eos;
  chat_template = p.chat_template, tool_template = p.tool_template;
  special_.resize(static_cast<size_t>(n));
  for (const AddedToken& t : p.added)
    if (t.special) special_[static_cast<size_t>(t.id)] = true;
  parts_ = std::move(parts);
  static std::atomic<uint64_t> made{0};
  serial_ = ++made;
}

Tokenizer::~Tokenizer() = default;

TokenizerKind Tokenizer::kind() const { return parts_->kind; }
int32_t Tokenizer::size() const { return parts_->vocab.size(); }
std::string_view Tokenizer::piece(int32_t id) const { return parts_->pieces[id]; }
bool Tokenizer::is_special(int32_t id) const { return special_[static_cast<size_t>(id)]; }

int32_t Tokenizer::find(std::string_view piece) const {
  for (const AddedToken& token : parts_->added)
    if (token.text == piece) return token.id;
  return parts_->vocab.find(piece);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool parse_special, bool add_special) const {
  return encode_parts(text, parse_special, add_special, {});
}

std::vector<int32_t> Tokenizer::encode_prompt(std::string_view text, std::span<const size_t> written) const {
  return encode_parts(text, true, false, written);
}

std::vector<size_t> Tokenizer::special_places(std::string_view text) const {
  std::vector<size_t> places;
  raw_added_->find_special(text, places);
  normalized_added_->find_special(text, places);
  std::sort(places.begin(), places.end());
  return places;
}

std::vector<int32_t> Tokenizer::encode_parts(std::string_view raw, bool parse_special, bool add_special, std::span<const size_t> written) const {
  if (raw.size() > kMostText)
    bad_input("the text has " + std::to_string(raw.size()) + " bytes, more than " + std::to_string(kMostText), "tokenizer", "give it in parts");
  std::string repaired;
  std::string_view text = raw;
  if (!valid_utf8(raw)) text = repaired = repair_utf8(raw);
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (add_special) {
    out.insert(out.end(), parts_->before.begin(), parts_->before.end());
    if (add_bos && bos >= 0) out.push_back(bos);
  }
  thread_local PieceCache cache;
  const bool cached = text.size() >= kCacheFrom;
  if (cached) cache.belong_to(serial_);
  const PieceVisitor piece = [&](std::string_view s) {
    if (cached) cache.append(s, out, [&] { model_->encode(s, out); });
    else model_->encode(s, out);
  };
  auto token = [&](int32_t id) { out.push_back(id); };
  std::string buffer;
  raw_added_->split(text, parse_special, [&](std::string_view part) {
    const bool at_start = part.data() == text.data();
    std::string_view prepared = part;
    if (!parts_->normalize.empty()) {
      buffer = part;
      for (const NormalizeStep& step : parts_->normalize) step(buffer, at_start);
      prepared = buffer;
    }
    // Normalization moves offsets: where something was written out, nothing of the part is special.
    const auto from = static_cast<size_t>(part.data() - text.data());
    const auto first = std::lower_bound(written.begin(), written.end(), from);
    const bool special = parse_special && (first == written.end() || *first >= from + part.size());
    normalized_added_->split(prepared, special,
                             [&](std::string_view s) { cut(parts_->cuts, s, at_start && s.data() == prepared.data(), piece); }, token);
  }, token, written);
  if (add_special) {
    if (add_eos && eos >= 0) out.push_back(eos);
    out.insert(out.end(), parts_->after.begin(), parts_->after.end());
  }
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool with_special) const {
  std::string out;
  for (int32_t id : ids)
    if (id >= 0 && id < size() && (with_special || !is_special(id))) out += piece(id);
  return out;
}

}  // namespace ingot
