// A tokenizer as its file describes it: what readers fill and writers print.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/normalizer.h"
#include "text/pre_tokenize.h"
#include "text/token_model.h"
#include "text/tokenizer.h"
#include "text/piece_table.h"

namespace ingot {

struct Decoding {
  bool marks_are_spaces = false;  // U+2581
  bool byte_tokens = false;       // <0xHH>
  bool strip_first = false;       // one space in front of the text
  bool strip_first_token = false; // all spaces of the first token (the Metaspace decoder)
  bool words = false;             // a space before each token without the prefix
  bool clean_up = false;          // and none before punctuation
};

struct TokenizerParts {
  std::string name;  // in errors
  TokenizerKind kind = TokenizerKind::kByteBpe;
  PieceTable vocab;  // by the model's own spelling: raw bytes for kByteBpe; "" for an id that only added tokens have
  std::vector<Merge> merges;          // BPE
  BpeOptions bpe;
  std::vector<double> scores;         // kScoredBpe, kUnigram
  std::vector<PieceType> types;       // the same, unless read from tokenizer.json
  bool byte_fallback = false;         // the same
  std::string word_prefix = "##";     // kWordPiece
  size_t most_characters = 100;       // kWordPiece: a longer word is unknown
  std::vector<AddedToken> added;
  std::vector<NormalizeStep> normalize;
  std::shared_ptr<const CharacterMap> character_map;  // used by one of `normalize`
  std::vector<CutStep> cuts;
  Decoding decoding;
  std::vector<int32_t> before, after;  // put around a text, beside bos and eos
  int32_t bos = -1, eos = -1, pad = -1, unknown = -1;
  std::vector<int32_t> ends;
  bool add_bos = false, add_eos = false;
  std::string chat_template, tool_template;
  // SentencePiece's settings, which GGUF states.
  bool dummy_prefix = false, remove_extra_spaces = false;
  PieceTable pieces;  // raw bytes by id, when they differ from the spelling; made by Tokenizer
};

// GPT-2's printable alphabet for bytes.
std::string to_byte_alphabet(std::string_view raw);
std::string from_byte_alphabet(std::string_view text);  // text outside the alphabet stands for itself

TokenizerParts parts_from_json(std::string_view text, const std::string& name);
TokenizerParts parts_from_sentence_piece(std::string_view bytes, const std::string& name);
TokenizerParts parts_from_gguf(const Gguf& gguf);
int32_t find_token(const TokenizerParts& parts, std::string_view text);  // added tokens too; -1 when absent
// Normalization, cuts and decoding as SentencePiece's own program has them; kind, vocabulary, types and map are set already.
void follow_sentence_piece(TokenizerParts& parts, Prefix dummy_prefix);

[[noreturn]] void refuse_tokenizer(const std::string& problem, const std::string& name);

}  // namespace ingot
