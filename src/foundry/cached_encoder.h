// A frozen trunk reads a text once: its vectors stay in the user's cache, for the next fold, step or build.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>

#include "models/text_encoder.h"

namespace ingot {

class CachedEncoder : public TextEncoder {
 public:
  // folder: where one file an encoder lies; empty: the user's cache. A cache that cannot be read or written costs time, nothing else.
  explicit CachedEncoder(std::shared_ptr<const TextEncoder> inner, std::filesystem::path folder = {});
  ~CachedEncoder() override;

  int width() const override { return inner_->width(); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  std::vector<int> parts() const override { return inner_->parts(); }
  bool tuned_on(const std::string& text) const override { return inner_->tuned_on(text); }
  std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* windows = nullptr) const override;

  struct Used {
    size_t read = 0, from_cache = 0;  // texts that the trunk read, and that it did not have to
    double seconds = 0;               // of reading
  };
  Used used() const;

 private:
  struct State;
  std::shared_ptr<const TextEncoder> inner_;
  std::unique_ptr<State> state_;
};

}  // namespace ingot
