// tokenizer.json: the model and its vocabulary. Its steps are read in tokenizer_json_steps.cc.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/tokenizer_json_steps.h"
#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

using Json = nlohmann::json;

const Json kNull;

const Json& member(const Json& json, const char* key) {
  auto it = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && it != json.end() ? *it : kNull;
}

std::string text_or(const Json& json, const char* key, const char* otherwise) {
  const Json& value = member(json, key);
  return value.is_string() ? value.get<std::string>() : otherwise;
}

bool flag(const Json& json, const char* key) {
  const Json& value = member(json, key);
  return value.is_boolean() && value.get<bool>();
}

std::string model_type(const Json& model) {
  if (member(model, "type").is_string()) return model["type"].get<std::string>();
  return !member(model, "merges").is_null() ? "BPE" : member(model, "vocab").is_array() ? "Unigram" : "WordPiece";  // old files do not say
}

// The reference's reader takes a number's digits as an integer and divides by a power of ten, so it rounds twice. Which of equally likely
// cuts a unigram model takes goes by that.
double as_the_reference_reads(double score) {
  char text[32];  // d.ddde-dd
  const char* end = std::to_chars(text, text + sizeof text, std::abs(score), std::chars_format::scientific).ptr;
  const char* c = text;
  uint64_t digits = 0;
  int exponent = 0, fraction = 0;
  for (; *c != 'e'; ++c) {
    if (*c != '.') digits = 10 * digits + static_cast<uint64_t>(*c - '0');
    fraction += c > text + 1;
  }
  std::from_chars(c[1] == '+' ? c + 2 : c + 1, end, exponent);
  exponent -= fraction;
  const double power = std::pow(10.0, std::abs(exponent)), whole = static_cast<double>(digits);
  return std::copysign(exponent < 0 ? whole / power : whole * power, score);
}

// Pieces as the file spells them, by id; "" where an id has none.
std::vector<std::string> read_vocab(const Json& model, const std::vector<AddedToken>& added, std::vector<double>& scores, const std::string& name) {
  std::vector<std::pair<std::string, int64_t>> entries;
  const Json& vocab = model.at("vocab");
  if (vocab.is_array()) {
    for (const Json& entry : vocab) {
      entries.emplace_back(entry.at(0).get<std::string>(), static_cast<int64_t>(entries.size()));
      scores.push_back(as_the_reference_reads(entry.at(1).get<double>()));
    }
  } else {
    for (const auto& [piece, id] : vocab.items()) entries.emplace_back(piece, id.get<int64_t>());
  }
  int64_t most = -1;
  for (const auto& [piece, id] : entries) {
    if (id < 0) refuse_tokenizer("the token \"" + piece + "\" has the id " + std::to_string(id), name);
    most = std::max(most, id);
  }
  for (const AddedToken& token : added) most = std::max<int64_t>(most, token.id);
  if (most < 0 || most > 2 * static_cast<int64_t>(entries.size() + added.size()))
    refuse_tokenizer("the ids reach " + std::to_string(most) + ", but there are " + std::to_string(entries.size()) + " tokens", name);
  std::vector<std::string> pieces(static_cast<size_t>(most + 1));
  for (auto& [piece, id] : entries) pieces[static_cast<size_t>(id)] = std::move(piece);
  if (!scores.empty()) scores.resize(pieces.size());
  return pieces;
}

PieceTable vocabulary_of(const std::vector<std::string>& pieces, bool raw_bytes) {
  PieceTable vocab;
  std::vector<bool> wanted;
  for (const std::string& piece : pieces) {
    vocab.add(raw_bytes ? from_byte_alphabet(piece) : piece);
    wanted.push_back(!piece.empty());
  }
  vocab.index(wanted);
  return vocab;
}

std::vector<Merge> read_merges(const Json& list, const PieceTable& vocab, const std::string& name) {
  std::vector<Merge> merges;
  merges.reserve(list.size());
  std::string whole;
  for (const Json& merge : list) {
    std::string_view left, right;
    if (merge.is_array()) {
      left = merge.at(0).get_ref<const std::string&>(), right = merge.at(1).get_ref<const std::string&>();
    } else {
      const std::string_view line = merge.get_ref<const std::string&>();
      const size_t space = line.find(' ');
      if (space == std::string_view::npos) refuse_tokenizer("the merge \"" + std::string(line) + "\" has no space", name);
      left = line.substr(0, space), right = line.substr(space + 1);
    }
    whole.assign(left).append(right);
    merges.push_back({vocab.find(left), vocab.find(right), vocab.find(whole)});
    const Merge& m = merges.back();
    if (m.left < 0 || m.right < 0 || m.whole < 0)
      refuse_tokenizer("the merge \"" + std::string(left) + " " + std::string(right) + "\" names or makes a token that the vocabulary lacks", name);
  }
  return merges;
}

void read_model(const Json& model, TokenizerParts& p) {
  const std::string type = model_type(model);
  std::vector<double> scores;
  const std::vector<std::string> pieces = read_vocab(model, p.added, scores, p.name);
  p.byte_fallback = flag(model, "byte_fallback");
  if (type == "BPE") {
    const bool bytes = p.kind == TokenizerKind::kByteBpe;
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!text_or(model, key, "").empty()) refuse_tokenizer(std::string("BPE with a ") + key + " is not supported", p.name);
    if (const Json& dropout = member(model, "dropout"); dropout.is_number() && dropout.get<double>() != 0) refuse_tokenizer("BPE with dropout is not supported", p.name);
    const PieceTable spelling = vocabulary_of(pieces, false);
    p.merges = read_merges(model.at("merges"), spelling, p.name);
    if (const Json& unknown = member(model, "unk_token"); unknown.is_string()) p.unknown = spelling.find(unknown.get_ref<const std::string&>());
    p.vocab = bytes ? vocabulary_of(pieces, true) : spelling;
    p.bpe = {bytes, p.unknown, flag(model, "fuse_unk"), p.byte_fallback, flag(model, "ignore_merges")};
  } else if (type == "Unigram") {
    if (!model.at("vocab").is_array()) refuse_tokenizer("the unigram model's vocabulary is no list", p.name);
    p.kind = TokenizerKind::kUnigram;
    p.vocab = vocabulary_of(pieces, false);
    p.scores = std::move(scores);
    if (const Json& unknown = member(model, "unk_id"); unknown.is_number_integer()) {
      const auto id = unknown.get<int64_t>();
      if (id < 0 || id >= p.vocab.size()) refuse_tokenizer("the unknown token is " + std::to_string(id) + " of " + std::to_string(p.vocab.size()), p.name);
      p.unknown = static_cast<int32_t>(id);
    }
  } else if (type == "WordPiece") {
    p.kind = TokenizerKind::kWordPiece;
    p.vocab = vocabulary_of(pieces, false);
    p.unknown = p.vocab.find(text_or(model, "unk_token", "[UNK]"));
    p.word_prefix = text_or(model, "continuing_subword_prefix", "##");
    if (const Json& most = member(model, "max_input_chars_per_word"); most.is_number_unsigned()) p.most_characters = most.get<size_t>();
  } else {
    refuse_tokenizer("the tokenizer is " + type + ", expected BPE, Unigram or WordPiece", p.name);
  }
}

}  // namespace

int32_t find_token(const TokenizerParts& parts, std::string_view text) {
  for (const AddedToken& token : parts.added)
    if (token.text == text) return token.id;
  return parts.vocab.find(text);
}

TokenizerParts parts_from_json(std::string_view text, const std::string& name) try {
  const Json json = Json::parse(text);  // not an ordered one: it looks through all earlier names at each, 1.3 s for 30,000 pieces
  TokenizerParts p;
  p.name = name;
  for (const Json& token : member(json, "added_tokens")) {
    const auto id = token.at("id").get<int64_t>();
    if (id < 0 || id > INT32_MAX) refuse_tokenizer("an added token has the id " + std::to_string(id), name);
    p.added.push_back({token.at("content").get<std::string>(), static_cast<int32_t>(id), flag(token, "special"), flag(token, "lstrip"),
                       flag(token, "rstrip"), flag(token, "single_word"), flag(token, "normalized")});
  }
  std::erase_if(p.added, [](const AddedToken& t) { return t.text.empty(); });
  const bool bytes = read_pre_tokenizer(member(json, "pre_tokenizer"), p);
  p.kind = bytes ? TokenizerKind::kByteBpe : TokenizerKind::kCharacterBpe;
  read_normalizer(member(json, "normalizer"), p);
  read_model(json.at("model"), p);
  if (bytes && p.kind != TokenizerKind::kByteBpe) refuse_tokenizer("byte-level pieces are for BPE alone", name);
  read_decoder(member(json, "decoder"), p);
  read_post_processor(member(json, "post_processor"), p);
  if (p.before.size() == 1) {
    p.bos = p.before[0];
    p.add_bos = true;
    p.before.clear();
  }
  if (p.after.size() == 1) {
    p.eos = p.after[0];
    p.add_eos = true;
    p.after.clear();
  }
  for (const char* end : {"<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "</s>", "<eos>"})
    if (p.eos < 0) p.eos = find_token(p, end);
  return p;
} catch (const nlohmann::json::exception& error) {
  bad_input(std::string("not a usable tokenizer.json: ") + error.what(), name, "use the model's own tokenizer.json");
}

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view text, const std::string& name) {
  return std::make_shared<const Tokenizer>(parts_from_json(text, name));
}

}  // namespace ingot
