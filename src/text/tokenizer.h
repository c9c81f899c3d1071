// Tokenizers of open models: byte-level BPE, SentencePiece's BPE and unigram, WordPiece; from tokenizer.json, tokenizer.model, GGUF.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "text/pre_tokenize.h"
#include "text/utf8.h"

namespace ingot {

class AddedMatcher;
class TokenModel;
struct TokenizerParts;  // text/tokenizer_parts.h: what a reader fills

struct AddedToken {
  std::string text;
  int32_t id;
  bool special;  // hidden by decode() unless asked for
  bool left_strip = false, right_strip = false;  // takes the white space beside it
  bool single_word = false;                      // not inside a word
  bool normalized = false;                       // sought after normalization
};

enum class TokenizerKind : uint8_t { kByteBpe, kCharacterBpe, kScoredBpe, kUnigram, kWordPiece };

// Immutable once made; any thread may use it.
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerParts parts);
  ~Tokenizer();

  // A GGUF file, a Hugging Face folder, a tokenizer.json or a tokenizer.model.
  static std::shared_ptr<const Tokenizer> open(const std::filesystem::path& path);
  // tokenizer.json or else tokenizer.model, with tokenizer_config.json, generation_config.json and the chat template beside it.
  static std::shared_ptr<const Tokenizer> from_folder(const std::filesystem::path& folder);
  static std::shared_ptr<const Tokenizer> from_json(std::string_view json, const std::string& name);  // HF's tokenizer.json
  static std::shared_ptr<const Tokenizer> from_sentence_piece(std::string_view bytes, const std::string& name);  // tokenizer.model
  static std::shared_ptr<const Tokenizer> from_gguf(const Gguf& gguf);
  std::string to_json() const;
  void to_gguf(GgufWriter& writer) const;

  TokenizerKind kind() const;
  int32_t size() const;
  // Invalid UTF-8 counts as U+FFFD. With parse_special, special tokens in the text become their ids; other added ones always do.
  // add_special puts the tokens around the text that the model wants: a beginning of text, [CLS] and [SEP], ...
  std::vector<int32_t> encode(std::string_view text, bool parse_special = true, bool add_special = true) const;
  // A whole text with special tokens in it, of which those that begin at the offsets `written` (sorted) are plain text: somebody wrote
  // them out. Adds nothing around it. See text/written_specials.h.
  std::vector<int32_t> encode_prompt(std::string_view text, std::span<const size_t> written) const;
  // Where special tokens are written in the text, in order.
  std::vector<size_t> special_places(std::string_view text) const;
  // The bytes of the pieces one after another, which may end inside a character: what a stream of tokens shows.
  std::string decode(std::span<const int32_t> ids, bool with_special = false) const;
  // The text as Hugging Face decodes a whole list: without the space that SentencePiece put in front, WordPiece's words apart.
  std::string detokenize(std::span<const int32_t> ids, bool with_special = false) const;
  std::string_view piece(int32_t id) const;  // raw bytes: spaces as spaces, byte tokens as bytes. REQUIRES: 0 <= id < size()
  bool is_special(int32_t id) const;
  int32_t find(std::string_view piece) const;  // by the model's own spelling; -1 when absent; added tokens too

  int32_t bos = -1, eos = -1, pad = -1, unknown = -1;  // -1: none
  std::vector<int32_t> ends;                           // all that end an answer, eos among them when the model says so
  bool add_bos = false, add_eos = false;
  std::string chat_template, tool_template;            // Jinja; empty: none. The second, where a model ships it, writes conversations with tools

 private:
  std::vector<int32_t> encode_parts(std::string_view text, bool parse_special, bool add_special, std::span<const size_t> written) const;
  std::unique_ptr<const TokenizerParts> parts_;
  std::unique_ptr<const TokenModel> model_;
  std::unique_ptr<const AddedMatcher> raw_added_, normalized_added_;
  std::vector<bool> special_;
  uint64_t serial_;  // of this tokenizer in the process; a thread's cache belongs to one
};

// Byte-level BPE training: counts pieces, then merges the most frequent pair (the smaller ids on a tie) until `vocab` tokens.
// specials take the first ids.
std::shared_ptr<const Tokenizer> train_tokenizer(std::span<const std::string_view> texts, int32_t vocab, PreTokenizer pre,
                                                 std::span<const std::string> specials);

}  // namespace ingot
