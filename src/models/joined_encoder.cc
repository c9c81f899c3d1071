#include "models/joined_encoder.h"

#include <algorithm>
#include <cmath>

namespace ingot {
namespace {

class JoinedEncoder : public TextEncoder {
 public:
  explicit JoinedEncoder(std::vector<std::shared_ptr<const TextEncoder>> parts) : parts_(std::move(parts)) {
    for (const auto& part : parts_) width_ += part->width();
  }
  int width() const override { return width_; }
  std::vector<int> parts() const override {
    std::vector<int> all;
    for (const auto& part : parts_)
      for (int width : part->parts()) all.push_back(width);
    return all;
  }
  bool tuned_on(const std::string& text) const override {
    return std::any_of(parts_.begin(), parts_.end(), [&](const auto& part) { return part->tuned_on(text); });
  }
  std::string fingerprint() const override {
    std::string all = "joined";
    for (const auto& part : parts_) all += " " + part->fingerprint();
    return all;
  }
  std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* windows) const override {
    std::vector<float> out(texts.size() * static_cast<size_t>(width_));
    const float by = 1 / std::sqrt(static_cast<float>(parts_.size()));
    size_t at = 0;
    if (windows) windows->assign(texts.size(), 0);
    for (const auto& part : parts_) {
      std::vector<int> cut;
      const auto rows = part->encode(texts, &cut);
      const auto width = static_cast<size_t>(part->width());
      for (size_t t = 0; t < texts.size(); ++t) {
        for (size_t i = 0; i < width; ++i) out[t * static_cast<size_t>(width_) + at + i] = rows[t * width + i] * by;
        if (windows) (*windows)[t] = std::max((*windows)[t], cut[t]);
      }
      at += width;
    }
    return out;
  }

 private:
  std::vector<std::shared_ptr<const TextEncoder>> parts_;
  int width_ = 0;
};

}  // namespace

std::shared_ptr<const TextEncoder> join_encoders(std::vector<std::shared_ptr<const TextEncoder>> parts) {
  return parts.size() == 1 ? parts[0] : std::make_shared<JoinedEncoder>(std::move(parts));
}

}  // namespace ingot
