// The tokenizer in GGUF's metadata.
#include <algorithm>

#include "core/error.h"
#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

struct NamedCut {
  const char* name;
  PreTokenizer kind;
};

constexpr const char* kRobertaCut = "roberta-bpe";

// The first name of a kind is the one written.
constexpr NamedCut kNames[] = {
    {"gpt-2", PreTokenizer::kGpt2}, {"default", PreTokenizer::kGpt2}, {kRobertaCut, PreTokenizer::kGpt2}, {"smollm", PreTokenizer::kSmolLm}, {"starcoder", PreTokenizer::kSmolLm},
    {"llama-bpe", PreTokenizer::kLlama3}, {"llama3", PreTokenizer::kLlama3}, {"llama-v3", PreTokenizer::kLlama3}, {"smaug-bpe", PreTokenizer::kLlama3},
    {"qwen2", PreTokenizer::kQwen2}, {"deepseek-r1-qwen", PreTokenizer::kQwen2}, {"tekken", PreTokenizer::kTekken},
    {"gpt-4o", PreTokenizer::kO200k}, {"qwen35", PreTokenizer::kQwen35}};

template <class List>
const List* list_of(const Gguf& gguf, const char* key) {
  auto it = gguf.metadata().find(key);
  return it == gguf.metadata().end() ? nullptr : std::get_if<List>(&it->second.value);
}

const std::vector<std::string>& texts(const Gguf& gguf, const char* key) {
  auto* list = list_of<std::vector<std::string>>(gguf, key);
  if (!list) bad_input(std::string("the key ") + key + " is missing or no list of texts", gguf.name(), "use a complete model file");
  return *list;
}

int32_t id_of(const Gguf& gguf, const char* key, int64_t otherwise, int32_t size) {
  const int64_t id = gguf.integer(key, otherwise);
  if (id >= size || id < -1) {
    if (!gguf.has(key)) return -1;
    if (id == 0xffffffff) return -1;  // how some writers say "none"
    bad_input(std::string(key) + " is " + std::to_string(id) + ", outside the vocabulary of " + std::to_string(size), gguf.name(), "use a complete model file");
  }
  return static_cast<int32_t>(id);
}

std::vector<int64_t> types_of(const Gguf& gguf, size_t count) {
  std::vector<int64_t> types(count, 1);
  if (auto* list = list_of<std::vector<int64_t>>(gguf, "tokenizer.ggml.token_type"))
    std::copy_n(list->begin(), std::min(count, list->size()), types.begin());
  return types;
}

void read_byte_bpe(const Gguf& gguf, TokenizerParts& p) {
  const auto& tokens = texts(gguf, "tokenizer.ggml.tokens");
  const auto types = types_of(gguf, tokens.size());
  PieceTable spelling;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool added = (types[i] == 3 || types[i] == 4) && !tokens[i].empty();
    const std::string text = added ? repair_utf8(tokens[i]) : "";  // it is sought in valid text
    if (added) p.added.push_back({text, static_cast<int32_t>(i), types[i] == 3});
    spelling.add(tokens[i]);
    p.vocab.add(added ? text : from_byte_alphabet(tokens[i]));
  }
  spelling.index();
  p.vocab.index();
  for (const std::string& line : texts(gguf, "tokenizer.ggml.merges")) {
    const size_t space = line.find(' ', 1);  // GGUF writes a space inside a token as itself only where it begins one
    if (space == std::string::npos) refuse_tokenizer("the merge \"" + line + "\" has no space", gguf.name());
    const std::string left = line.substr(0, space), right = line.substr(space + 1);
    p.merges.push_back({spelling.find(left), spelling.find(right), spelling.find(left + right)});
    const Merge& m = p.merges.back();
    if (m.left < 0 || m.right < 0 || m.whole < 0) refuse_tokenizer("the merge \"" + line + "\" names or makes a token that the vocabulary lacks", gguf.name());
  }
  const std::string pre = gguf.text("tokenizer.ggml.pre", "gpt-2");
  const auto* known = std::find_if(std::begin(kNames), std::end(kNames), [&](const NamedCut& n) { return pre == n.name; });
  if (known == std::end(kNames)) {
    std::string all;
    for (const NamedCut& n : kNames) (all += all.empty() ? "" : ", ") += n.name;
    bad_input("the pre-tokenizer \"" + pre + "\" is not supported", gguf.name(), "use a model with one of: " + all);
  }
  p.cuts = cuts_of(known->kind);
  p.bpe.bytes = true;
  p.bpe.whole_first = known->kind == PreTokenizer::kLlama3 || known->kind == PreTokenizer::kTekken;
  if (known->kind == PreTokenizer::kQwen2 || known->kind == PreTokenizer::kQwen35) p.normalize = {unicode_step(UnicodeForm::kNfc)};
  p.add_bos = known->kind == PreTokenizer::kLlama3 || known->kind == PreTokenizer::kTekken;
  if (pre == kRobertaCut) p.add_bos = p.add_eos = true;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool here = text.substr(at).starts_with(from);
    out += here ? to : text.substr(at, 1);
    at += here ? from.size() : 1;
  }
  return out;
}

void read_sentence_piece(const Gguf& gguf, TokenizerParts& p) {
  const auto& tokens = texts(gguf, "tokenizer.ggml.tokens");
  const auto types = types_of(gguf, tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    // A token of the user's own stands with plain spaces: it is sought in the text before they are marked (Gemma's runs of spaces).
    p.vocab.add(types[i] == 4 ? replaced(repair_utf8(tokens[i]), " ", kMetaspaceMark) : repair_utf8(tokens[i]));
    p.types.push_back(types[i] >= 1 && types[i] <= 6 ? static_cast<PieceType>(types[i]) : PieceType::kNormal);
    p.byte_fallback = p.byte_fallback || types[i] == 6;
  }
  p.vocab.index();
  if (auto* scores = list_of<std::vector<double>>(gguf, "tokenizer.ggml.scores")) p.scores = *scores;
  else p.scores.assign(tokens.size(), 0);
  if (auto* map = list_of<std::vector<int64_t>>(gguf, "tokenizer.ggml.precompiled_charsmap"); map && !map->empty()) {
    std::string blob;
    for (int64_t b : *map) blob += static_cast<char>(b);
    p.character_map = std::make_shared<const CharacterMap>(std::move(blob), gguf.name());
  }
  p.remove_extra_spaces = gguf.boolean("tokenizer.ggml.remove_extra_whitespaces", false);
  p.unknown = id_of(gguf, "tokenizer.ggml.unknown_token_id", p.kind == TokenizerKind::kScoredBpe ? 0 : 2, p.vocab.size());
  follow_sentence_piece(p, gguf.boolean("tokenizer.ggml.add_space_prefix", true) ? Prefix::kAlways : Prefix::kNever);
}

// GGUF marks the first piece of a word, not the later ones.
void read_word_piece(const Gguf& gguf, TokenizerParts& p) {
  const auto& tokens = texts(gguf, "tokenizer.ggml.tokens");
  const auto types = types_of(gguf, tokens.size());
  const bool marked = std::any_of(tokens.begin(), tokens.end(), [](const std::string& t) { return t.starts_with(kMetaspaceMark); });
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string t = repair_utf8(tokens[i]);
    const bool special = types[i] == 3 || types[i] == 2 || (t.size() > 2 && t.front() == '[' && t.back() == ']');
    if (special && !t.empty()) p.added.push_back({t, static_cast<int32_t>(i), true});
    p.vocab.add(!marked || special || t.empty() ? t : t.starts_with(kMetaspaceMark) ? t.substr(kMetaspaceMark.size()) : "##" + t);
  }
  p.vocab.index();
  p.unknown = id_of(gguf, "tokenizer.ggml.unknown_token_id", p.vocab.find("[UNK]"), p.vocab.size());
  const bool lower = gguf.boolean("tokenizer.ggml.normalizer.lowercase", true);
  p.normalize = {bert_step({.strip_accents = gguf.boolean("tokenizer.ggml.normalizer.strip_accents", lower), .lower = lower})};
  p.cuts = {{CutKind::kWhiteSpace}, {CutKind::kPunctuation}};
  p.decoding.words = p.decoding.clean_up = true;
}

}  // namespace

TokenizerParts parts_from_gguf(const Gguf& gguf) {
  TokenizerParts p;
  p.name = gguf.name();
  const std::string model = gguf.text("tokenizer.ggml.model");
  int64_t bos = -1, eos = -1;
  if (model == "gpt2") {
    read_byte_bpe(gguf, p);
  } else if (model == "llama") {
    p.kind = TokenizerKind::kScoredBpe;
    read_sentence_piece(gguf, p);
    p.add_bos = true;
    bos = 1, eos = 2;
  } else if (model == "t5") {
    p.kind = TokenizerKind::kUnigram;
    read_sentence_piece(gguf, p);
    p.add_eos = true;
    eos = 1;
  } else if (model == "bert") {
    p.kind = TokenizerKind::kWordPiece;
    read_word_piece(gguf, p);
    p.add_bos = p.add_eos = true;
    bos = p.vocab.find("[CLS]"), eos = p.vocab.find("[SEP]");
  } else {
    bad_input("the tokenizer is \"" + model + "\", expected gpt2 (byte-level BPE), llama (SentencePiece BPE), t5 (unigram) or bert (WordPiece)", gguf.name(),
              "use a model with one of these");
  }
  const int32_t size = p.vocab.size();
  p.bos = id_of(gguf, "tokenizer.ggml.bos_token_id", bos, size);
  if (model == "bert") eos = id_of(gguf, "tokenizer.ggml.seperator_token_id", eos, size);  // the key is spelt so
  p.eos = model == "bert" ? static_cast<int32_t>(eos) : id_of(gguf, "tokenizer.ggml.eos_token_id", eos, size);
  p.pad = id_of(gguf, "tokenizer.ggml.padding_token_id", -1, size);
  p.add_bos = gguf.boolean("tokenizer.ggml.add_bos_token", p.add_bos);
  // [SEP] comes with [CLS]: what add_sep_token says in newer files is about pairs of texts.
  p.add_eos = model == "bert" ? p.add_bos : gguf.boolean("tokenizer.ggml.add_eos_token", p.add_eos);
  for (int32_t id : {p.eos, id_of(gguf, "tokenizer.ggml.eot_token_id", -1, size), id_of(gguf, "tokenizer.ggml.eom_token_id", -1, size)})
    if (id >= 0 && std::find(p.ends.begin(), p.ends.end(), id) == p.ends.end()) p.ends.push_back(id);
  p.chat_template = gguf.text("tokenizer.chat_template", "");
  p.tool_template = gguf.text("tokenizer.chat_template.tool_use", "");
  return p;
}

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const Gguf& gguf) { return std::make_shared<const Tokenizer>(parts_from_gguf(gguf)); }

void Tokenizer::to_gguf(GgufWriter& writer) const {
  const TokenizerParts& p = *parts_;
  std::vector<std::string> tokens;
  std::vector<int64_t> types(static_cast<size_t>(size()), 1);
  for (size_t i = 0; i < p.types.size(); ++i) types[i] = static_cast<int64_t>(p.types[i]);
  std::vector<const AddedToken*> added_at(types.size());
  for (const AddedToken& t : p.added) {
    added_at[static_cast<size_t>(t.id)] = &t;
    types[static_cast<size_t>(t.id)] = t.id == p.unknown && p.kind != TokenizerKind::kByteBpe ? 2 : t.special ? 3 : 4;
  }
  std::vector<double> scores = p.scores;
  scores.resize(types.size());
  if (p.kind == TokenizerKind::kCharacterBpe) {
    // A token's score is minus the rank of the first merge that makes it; what no merge makes comes last.
    std::fill(scores.begin(), scores.end(), -static_cast<double>(p.merges.size()) - 1);
    for (size_t rank = p.merges.size(); rank-- > 0;) scores[static_cast<size_t>(p.merges[rank].whole)] = -static_cast<double>(rank);
  }
  const bool words = p.kind == TokenizerKind::kWordPiece;
  for (int32_t id = 0; id < size(); ++id) {
    const auto i = static_cast<size_t>(id);
    const std::string_view s = p.vocab[id];
    if (added_at[i]) tokens.push_back(added_at[i]->text);
    else if (p.kind == TokenizerKind::kByteBpe) tokens.push_back(to_byte_alphabet(s));
    else if (words) tokens.push_back(s.starts_with(p.word_prefix) ? std::string(s.substr(p.word_prefix.size())) : std::string(kMetaspaceMark) + std::string(s));
    else tokens.emplace_back(s);
    if (!words && p.kind != TokenizerKind::kByteBpe && p.decoding.byte_tokens && s.size() == 6 && s.starts_with("<0x")) types[i] = 6;
    if (s.empty() && !added_at[i]) types[i] = 5;
    if (types[i] == 4 && (p.kind == TokenizerKind::kScoredBpe || p.kind == TokenizerKind::kUnigram)) tokens.back() = replaced(tokens.back(), kMetaspaceMark, " ");
  }
  constexpr const char* kModels[] = {"gpt2", "llama", "llama", "t5", "bert"};
  writer.set("tokenizer.ggml.model", GgufValue::text(kModels[static_cast<int>(p.kind)]));
  if (p.kind == TokenizerKind::kByteBpe) {
    std::vector<std::string> merges;
    for (const Merge& m : p.merges) merges.push_back(to_byte_alphabet(p.vocab[m.left]) + " " + to_byte_alphabet(p.vocab[m.right]));
    const auto same = [&](const NamedCut& n) {
      const auto cuts = cuts_of(n.kind);
      return std::equal(cuts.begin(), cuts.end(), p.cuts.begin(), p.cuts.end(), [](const CutStep& a, const CutStep& b) { return a.kind == b.kind; });
    };
    const auto* known = std::find_if(std::begin(kNames), std::end(kNames), same);
    if (known == std::end(kNames)) refuse_tokenizer("GGUF has no name for this tokenizer's way to cut text", p.name);
    writer.set("tokenizer.ggml.pre", GgufValue::text(known->name));
    writer.set("tokenizer.ggml.merges", GgufValue::texts(std::move(merges)));
  } else if (words) {
    std::string probe = "A\xc3\xa9";
    for (const NormalizeStep& step : p.normalize) step(probe, true);
    writer.set("tokenizer.ggml.normalizer.lowercase", GgufValue::boolean(probe.starts_with('a')));
    writer.set("tokenizer.ggml.normalizer.strip_accents", GgufValue::boolean(probe.ends_with('e')));
  } else {
    writer.set("tokenizer.ggml.scores", {GgufType::kArray, GgufType::kF32, std::move(scores)});
    bool prefix = p.dummy_prefix;
    for (const CutStep& step : p.cuts) prefix = prefix || step.prefix != Prefix::kNever;
    if (p.types.empty() && !p.normalize.empty()) {
      std::string probe = "a";
      for (const NormalizeStep& step : p.normalize) step(probe, true);
      prefix = prefix || probe.starts_with(kMetaspaceMark);
    }
    writer.set("tokenizer.ggml.add_space_prefix", GgufValue::boolean(prefix));
    writer.set("tokenizer.ggml.remove_extra_whitespaces", GgufValue::boolean(p.remove_extra_spaces));
    if (p.character_map) {
      std::vector<int64_t> bytes;
      for (unsigned char b : p.character_map->blob()) bytes.push_back(b);
      writer.set("tokenizer.ggml.precompiled_charsmap", {GgufType::kArray, GgufType::kU8, std::move(bytes)});
    }
  }
  writer.set("tokenizer.ggml.tokens", GgufValue::texts(std::move(tokens)));
  writer.set("tokenizer.ggml.token_type", GgufValue::i32s(std::move(types)));
  writer.set("tokenizer.ggml.add_bos_token", GgufValue::boolean(add_bos));
  if (add_eos) writer.set(words ? "tokenizer.ggml.add_sep_token" : "tokenizer.ggml.add_eos_token", GgufValue::boolean(true));
  auto set_id = [&](const char* key, int32_t id) {
    if (id >= 0) writer.set(key, GgufValue::u32(static_cast<uint32_t>(id)));
  };
  set_id("tokenizer.ggml.bos_token_id", bos);
  set_id(words ? "tokenizer.ggml.seperator_token_id" : "tokenizer.ggml.eos_token_id", eos);
  set_id("tokenizer.ggml.padding_token_id", pad);
  if (p.kind != TokenizerKind::kByteBpe) set_id("tokenizer.ggml.unknown_token_id", unknown);
  for (int32_t id : ends)
    if (id != eos) set_id("tokenizer.ggml.eot_token_id", id);
  if (!chat_template.empty()) writer.set("tokenizer.chat_template", GgufValue::text(chat_template));
  if (!tool_template.empty()) writer.set("tokenizer.chat_template.tool_use", GgufValue::text(tool_template));
}

}  // namespace ingot
