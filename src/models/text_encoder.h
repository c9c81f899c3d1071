// Text to a fixed-length vector: the frozen trunk of a language model, or a sentence encoder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ingot {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  virtual int width() const = 0;               // D
  virtual std::string fingerprint() const = 0; // changes when the vectors would; keys caches
  virtual std::vector<int> parts() const { return {width()}; }  // widths of the vectors of their own that a row is made of
  // Whether the weights were tuned on this text's label: then a vector says more of it than it would of an unseen text.
  virtual bool tuned_on(const std::string& text) const { return (void)text, false; }
  // (N) texts -> (N, D) row-major, each row of unit length. A text longer than the context is split into windows and
  // mean-pooled; `windows`, if given, receives how many windows each text took. Thread-safe; any batch gives the same rows.
  virtual std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* windows = nullptr) const = 0;
};

}  // namespace ingot
