// The embedded default text encoder: a table of word-piece vectors, summed and scaled to unit length. Made by
// tools/make_word_vectors.py from a sentence encoder's own answers to single pieces.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>

#include "core/blob.h"
#include "models/text_encoder.h"

namespace ingot {

class WordVectors : public TextEncoder {
 public:
  // Throws Error (altered) for bytes that are not a table.
  static std::shared_ptr<const WordVectors> load(std::span<const std::byte> bytes);
  // The table that ships with Ingot, models/words.bin. Throws Error (environment) when it is not there.
  static std::shared_ptr<const WordVectors> shipped();

  int width() const override { return width_; }
  std::string fingerprint() const override { return fingerprint_; }
  // A text of no known piece gives zeros, the one row that has no unit length. Never more than one window.
  std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* windows = nullptr) const override;
  const std::string& bytes() const { return bytes_; }  // as load() reads them

 private:
  void add(std::string_view word, std::vector<double>& sum) const;
  int width_ = 0;
  size_t longest_ = 0;                  // bytes of the longest piece
  std::vector<std::string> pieces_;     // "##" in front: inside a word
  std::vector<float> scales_;           // (pieces)
  std::vector<int8_t> rows_;            // (pieces, width)
  std::unordered_map<std::string_view, uint32_t> ids_;
  std::string fingerprint_, bytes_;
};

}  // namespace ingot
