// Byte-level BPE as GPT-2, SmolLM2 and Llama 3 use it; reads and writes tokenizer.json and GGUF metadata.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/gguf.h"

namespace ingot {

// How text is cut before merging; the names are GGUF's (tokenizer.ggml.pre).
enum class PreTokenizer { kGpt2, kSmolLm, kLlama3, kQwen2 };

struct AddedToken {
  std::string text;
  int32_t id;
  bool special;  // hidden by decode() unless asked for
};

// Immutable once made; any thread may use it.
class Tokenizer {
 public:
  // Byte strings by id (raw bytes, not the printable alphabet) and merges in order of rank.
  Tokenizer(std::vector<std::string> vocab, std::vector<std::pair<int32_t, int32_t>> merges, std::vector<AddedToken> added,
            PreTokenizer pre);

  static std::shared_ptr<const Tokenizer> from_json(std::string_view json, const std::string& name);  // HF's tokenizer.json
  static std::shared_ptr<const Tokenizer> from_gguf(const Gguf& gguf);
  std::string to_json() const;
  void to_gguf(GgufWriter& writer) const;

  int32_t size() const { return static_cast<int32_t>(vocab_.size()); }
  // Invalid UTF-8 counts as U+FFFD. With parse_special, added tokens in the text become their ids.
  // add_special puts the beginning-of-text token in front when the model wants one.
  std::vector<int32_t> encode(std::string_view text, bool parse_special = true, bool add_special = true) const;
  std::string decode(std::span<const int32_t> ids, bool with_special = false) const;  // raw bytes; may end inside a character
  std::string_view piece(int32_t id) const { return vocab_[static_cast<size_t>(id)]; }  // REQUIRES: 0 <= id < size()
  bool is_special(int32_t id) const { return special_[static_cast<size_t>(id)]; }
  int32_t find(std::string_view piece) const;  // -1 when absent; added tokens too

  int32_t bos = -1, eos = -1, pad = -1;  // -1: none
  bool add_bos = false;
  std::string chat_template;

 private:
  void encode_piece(std::string_view piece, std::vector<int32_t>& out) const;
  std::vector<std::string> vocab_;
  std::vector<bool> special_;
  std::vector<std::pair<int32_t, int32_t>> merges_;
  std::vector<AddedToken> added_;  // longest first
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<uint64_t, std::pair<int32_t, int32_t>> ranks_;  // (left, right) -> (rank, merged id)
  std::array<int32_t, 256> byte_ids_;
  PreTokenizer pre_;
};

// Cuts valid UTF-8 into the pieces that merges never cross.
void pre_tokenize(PreTokenizer kind, std::string_view text, std::vector<std::string_view>& pieces);

// Every invalid sequence becomes one U+FFFD, as Python's and HF's decoders do.
std::string repair_utf8(std::string_view bytes);

// Turns token pieces into valid UTF-8: bytes of an unfinished character wait for the next piece.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);
  std::string finish();  // what is left, repaired

 private:
  std::string held_;
};

// Byte-level BPE training: counts pieces, then merges the most frequent pair (the smaller ids on a tie) until `vocab` tokens.
// specials take the first ids.
std::shared_ptr<const Tokenizer> train_tokenizer(std::span<const std::string_view> texts, int32_t vocab, PreTokenizer pre,
                                                 std::span<const std::string> specials);

}  // namespace ingot
