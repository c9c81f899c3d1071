#include "models/llama/llama_encoder.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/sha256.h"
#include "models/llama/llama.h"

namespace ingot {
namespace {

constexpr int64_t kWindow = 512, kPages = 64;  // tokens of a window; pages of a pass, which bound memory

class LlamaEncoder : public TextEncoder {
 public:
  LlamaEncoder(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer, std::string fingerprint, Pooling pooling, int64_t kept_back_of)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), fingerprint_(std::move(fingerprint)), pooling_(pooling), kept_back_of_(kept_back_of) {}

  int width() const override { return static_cast<int>(model_->config().width); }
  std::string fingerprint() const override { return fingerprint_ + (pooling_ == Pooling::kMean ? "/mean" : pooling_ == Pooling::kCls ? "/first" : "/last"); }

  bool tuned_on(const std::string& text) const override { return kept_back_of_ > 0 && !kept_back(text, kept_back_of_); }

  std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* windows) const override {
    std::lock_guard lock(busy_);
    // The last state of a text has read all of it; a mean is made of windows, as what stands on it learnt.
    const int64_t width = model_->config().width, limit = std::min(pooling_ == Pooling::kLast ? 64 * kPages : kWindow, model_->config().context);
    std::vector<float> out(texts.size() * static_cast<size_t>(width), 0.0f);
    if (windows) windows->assign(texts.size(), 0);
    KvCache cache = model_->make_cache(64 * kPages, CacheType::kF32);
    Batch batch;
    for (size_t t = 0; t < texts.size(); ++t) {
      auto ids = tokenizer_->encode(texts[t], false, true);
      if (ids.empty()) ids.push_back(std::max(tokenizer_->eos, 0));
      for (size_t at = 0; at < ids.size(); at += static_cast<size_t>(limit)) {
        size_t count = std::min(ids.size() - at, static_cast<size_t>(limit));
        auto pages = static_cast<int64_t>(count + 63) / 64;
        if (batch.pages + pages > kPages) flush(batch, cache, out);
        batch.pages += pages;
        batch.windows.push_back({t, std::vector<int32_t>(ids.begin() + static_cast<long>(at), ids.begin() + static_cast<long>(at + count))});
        batch.ids.insert(batch.ids.end(), batch.windows.back().ids.begin(), batch.windows.back().ids.end());
        if (windows) ++(*windows)[t];
      }
    }
    flush(batch, cache, out);
    for (size_t t = 0; t < texts.size(); ++t) {
      double square = 0;
      float* row = out.data() + t * static_cast<size_t>(width);
      for (int64_t i = 0; i < width; ++i) square += static_cast<double>(row[i]) * row[i];
      auto scale = static_cast<float>(1 / std::sqrt(std::max(square, 1e-30)));
      for (int64_t i = 0; i < width; ++i) row[i] *= scale;
    }
    return out;
  }

 private:
  struct Window {
    size_t text;
    std::vector<int32_t> ids;
  };
  struct Batch {
    std::vector<Window> windows;
    std::vector<int32_t> ids;
    int64_t pages = 0;
  };

  // Adds each window's sum of hidden states to its text's row; the length of the row is set at the end, so a sum is a mean.
  void flush(Batch& batch, KvCache& cache, std::vector<float>& out) const {
    if (batch.ids.empty()) return;
    std::vector<std::vector<int32_t>> pages;
    std::vector<RowPlace> places;
    for (const Window& window : batch.windows) {
      auto& list = pages.emplace_back();
      for (size_t i = 0; i < window.ids.size(); i += 64) list.push_back(cache.take());
    }
    for (size_t w = 0; w < batch.windows.size(); ++w)
      for (size_t i = 0; i < batch.windows[w].ids.size(); ++i) places.push_back({pages[w].data(), static_cast<int32_t>(i)});
    auto mark = arena_.mark();
    Context c{default_team(), arena_};
    Tensor hidden = model_->cached(c, batch.ids, places, cache);
    int64_t row = 0;
    for (const Window& window : batch.windows) {
      float* sum = out.data() + window.text * static_cast<size_t>(hidden.cols);
      for (size_t i = 0; i < window.ids.size(); ++i, ++row) {
        if ((pooling_ == Pooling::kLast && i + 1 < window.ids.size()) || (pooling_ == Pooling::kCls && i > 0)) continue;
        for (int64_t j = 0; j < hidden.cols; ++j) sum[j] += hidden.row(row)[j];
      }
    }
    arena_.release(mark);
    for (const auto& list : pages)
      for (int32_t page : list) cache.drop(page);
    batch = {};
  }

  std::shared_ptr<const Llama> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string fingerprint_;
  Pooling pooling_;
  int64_t kept_back_of_;
  mutable Arena arena_;
  mutable std::mutex busy_;
};

}  // namespace

bool kept_back(const std::string& text, int64_t one_in) {
  const Digest digest = sha256(text);
  return (digest[0] << 8 | digest[1]) % one_in == 0;
}

std::shared_ptr<const TextEncoder> make_llama_encoder(std::shared_ptr<const Llama> model, std::shared_ptr<const Tokenizer> tokenizer,
                                                      std::string fingerprint, Pooling pooling, int64_t kept_back_of) {
  return std::make_shared<LlamaEncoder>(std::move(model), std::move(tokenizer), std::move(fingerprint), pooling, kept_back_of);
}

}  // namespace ingot
