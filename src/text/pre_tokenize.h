// Cuts text into the pieces that a model's merges never cross.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

// The families' ways; the names are GGUF's (tokenizer.ggml.pre).
enum class PreTokenizer { kGpt2, kSmolLm, kLlama3, kQwen2, kTekken, kO200k, kQwen35 };

enum class CutKind : uint8_t {
  kGpt2, kLlama3, kQwen2, kTekken, kO200k, kQwen35,  // regular expressions, each a hand-written scanner
  kDigit,           // every digit alone
  kDigits,          // runs of digits alone
  kWhiteSpace,      // at white space, which is dropped
  kWords,           // \w+|[^\w\s]+, the rest dropped
  kPunctuation,     // every punctuation mark alone
  kSpaceAfter,      // after each space
  kPrefixSpace,     // no cut: a space in front unless there is one
  kMetaspace,       // spaces become U+2581, which the two below put in front
  kBeforeMetaspace  // between any character but U+2581 and U+2581
};

enum class Prefix : uint8_t { kNever, kFirst, kAlways };  // kFirst: at the start of the text alone

struct CutStep {
  CutKind kind;
  Prefix prefix = Prefix::kNever;  // of kMetaspace
  bool split = true;               // of kMetaspace: a piece begins at each U+2581
};

using PieceVisitor = std::function<void(std::string_view)>;

// Runs `steps` over valid UTF-8; at_start: `text` is the front of the whole. Pieces live until the visitor returns.
void cut(const std::vector<CutStep>& steps, std::string_view text, bool at_start, const PieceVisitor& visit);

std::vector<CutStep> cuts_of(PreTokenizer kind);
void pre_tokenize(PreTokenizer kind, std::string_view text, std::vector<std::string_view>& pieces);

// The scanner for a regular expression as tokenizer.json writes it; nothing for an unknown one.
std::optional<CutKind> cut_of_regex(std::string_view regex);
std::string_view regex_of(CutKind kind);  // REQUIRES: one of the regular expressions

inline constexpr std::string_view kMetaspaceMark = "\xe2\x96\x81";  // U+2581

}  // namespace ingot
