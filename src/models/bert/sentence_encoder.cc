#include "models/bert/sentence_encoder.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"

namespace ingot {
namespace {

constexpr int64_t kPassRows = 2048;  // tokens of a pass, which bound memory: about 40 MB for a width of 384

const char* pooling_name(Pooling pooling) { return pooling == Pooling::kMean ? "mean" : pooling == Pooling::kCls ? "cls" : "last"; }

class SentenceEncoder : public TextEncoder {
 public:
  SentenceEncoder(std::shared_ptr<const Bert> model, std::shared_ptr<const Tokenizer> tokenizer, SentenceSettings settings)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), pooling_(settings.pooling) {
    // What the tokenizer puts around nothing is what goes around every window.
    const auto frame = tokenizer_->encode("", false, true);
    if (frame.size() != 2)
      bad_input("the tokenizer puts " + std::to_string(frame.size()) + " tokens around a text, expected a first and a last one", "tokenizer", "use the model's own tokenizer");
    first_ = frame[0], last_ = frame[1];
    const int64_t context = model_->config().context();
    window_ = settings.window > 0 ? std::min(settings.window, context) : context;
    if (window_ < 3) bad_input("a window of " + std::to_string(window_) + " tokens holds no text", "encoder", "use a model with a longer context");
  }

  int width() const override { return static_cast<int>(model_->config().width); }

  std::string fingerprint() const override {
    std::call_once(hashed_, [&] { hash_ = model_->fingerprint() + "/" + pooling_name(pooling_) + "/" + std::to_string(window_); });
    return hash_;
  }

  std::vector<float> encode(std::span<const std::string> texts, std::vector<int>* windows) const override {
    std::lock_guard lock(busy_);
    const auto width = static_cast<size_t>(model_->config().width), most = static_cast<size_t>(window_ - 2);
    std::vector<float> out(texts.size() * width, 0.0f);
    if (windows) windows->assign(texts.size(), 0);
    Batch batch;
    for (size_t t = 0; t < texts.size(); ++t) {
      const auto ids = tokenizer_->encode(texts[t], false, false);
      for (size_t at = 0; at == 0 || at < ids.size(); at += most) {
        const size_t count = std::min(ids.size() - at, most);
        if (static_cast<int64_t>(batch.ids.size() + count + 2) > kPassRows) flush(batch, out);
        batch.ids.push_back(first_);
        batch.ids.insert(batch.ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(at + count));
        batch.ids.push_back(last_);
        batch.lengths.push_back(static_cast<int32_t>(count + 2));
        batch.texts.push_back(t);
        if (windows) ++(*windows)[t];
      }
    }
    flush(batch, out);
    for (size_t t = 0; t < texts.size(); ++t) {
      float* row = out.data() + t * width;
      double square = 0;
      for (size_t i = 0; i < width; ++i) square += static_cast<double>(row[i]) * row[i];
      const auto scale = static_cast<float>(1 / std::sqrt(std::max(square, 1e-24)));
      for (size_t i = 0; i < width; ++i) row[i] *= scale;
    }
    return out;
  }

 private:
  struct Batch {
    std::vector<int32_t> ids, lengths;  // windows one after the other
    std::vector<size_t> texts;          // whose each is
  };

  // Adds each window's rows to its text's; the length of the sum is set at the end, so a sum is as good as a mean.
  void flush(Batch& batch, std::vector<float>& out) const {
    if (batch.ids.empty()) return;
    const auto mark = arena_.mark();
    Context c{default_team(), arena_};
    const Tensor hidden = model_->hidden(c, batch.ids, batch.lengths);
    int64_t first = 0;
    for (size_t w = 0; w < batch.lengths.size(); ++w) {
      const int64_t end = first + batch.lengths[w];
      float* sum = out.data() + batch.texts[w] * static_cast<size_t>(hidden.cols);
      const int64_t from = pooling_ == Pooling::kLast ? end - 1 : first, to = pooling_ == Pooling::kCls ? first + 1 : end;
      for (int64_t r = from; r < to; ++r)
        for (int64_t i = 0; i < hidden.cols; ++i) sum[i] += hidden.row(r)[i];
      first = end;
    }
    arena_.release(mark);
    batch = {};
  }

  std::shared_ptr<const Bert> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Pooling pooling_;
  int64_t window_ = 0;
  int32_t first_ = 0, last_ = 0;
  mutable std::once_flag hashed_;
  mutable std::string hash_;
  mutable Arena arena_;
  mutable std::mutex busy_;
};

Pooling read_pooling(const HfConfig& config) {
  // Newer writers name the mode; older ones have a switch for each.
  if (const std::string mode = config.text("pooling_mode", ""); !mode.empty()) {
    if (mode == "mean") return Pooling::kMean;
    if (mode == "cls") return Pooling::kCls;
    if (mode == "lasttoken") return Pooling::kLast;
    config.refuse("the pooling is \"" + mode + "\", expected mean, cls or lasttoken");
  }
  std::vector<Pooling> chosen;
  if (config.boolean("pooling_mode_cls_token", false)) chosen.push_back(Pooling::kCls);
  if (config.boolean("pooling_mode_mean_tokens", false)) chosen.push_back(Pooling::kMean);
  if (config.boolean("pooling_mode_lasttoken", false)) chosen.push_back(Pooling::kLast);
  for (const char* other : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens"})
    if (config.boolean(other, false)) config.refuse(std::string(other) + " is not supported; mean, cls and last token are");
  if (chosen.size() > 1) config.refuse("several poolings are joined; one is supported");
  return chosen.empty() ? Pooling::kMean : chosen[0];
}

constexpr int64_t kGgufMean = 1, kGgufCls = 2, kGgufLast = 3, kGgufRank = 4;  // 0: none

}  // namespace

SentenceSettings read_sentence_settings(const Gguf& file) {
  const std::string key = file.text("general.architecture", "") + ".pooling_type";
  switch (const int64_t type = file.integer(key, kGgufMean)) {
    case 0:
    case kGgufMean: return {Pooling::kMean, 0};
    case kGgufCls: return {Pooling::kCls, 0};
    case kGgufLast: return {Pooling::kLast, 0};
    case kGgufRank: bad_input("the model scores pairs of texts (" + key + " is 4), it gives no vectors", file.name(), "use an embedding model");
    default: bad_input(key + " is " + std::to_string(type) + ", expected 0 (none), 1 (mean), 2 (cls) or 3 (last)", file.name(), "use an embedding model");
  }
}

void write_pooling(GgufWriter& out, Pooling pooling) {
  const int64_t type = pooling == Pooling::kMean ? kGgufMean : pooling == Pooling::kCls ? kGgufCls : kGgufLast;
  out.set(std::string(kBertArchitecture) + ".pooling_type", GgufValue::u32(static_cast<uint32_t>(type)));
}

SentenceSettings read_sentence_settings(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  SentenceSettings settings;
  fs::path pooling = folder / "1_Pooling" / "config.json";
  if (fs::exists(folder / "modules.json")) {
    // The file is a list: read as the value of a key, so that it is checked like any other.
    const HfConfig modules = HfConfig::parse("{\"modules\":" + read_file(folder / "modules.json", size_t{1} << 20) + "}", (folder / "modules.json").string());
    for (const HfConfig& module : modules.objects("modules")) {
      const std::string type = module.text("type", ""), kind = type.substr(type.rfind('.') + 1), path = module.text("path", "");
      if (kind != "Transformer" && kind != "Pooling" && kind != "Normalize") module.refuse("the module " + type + " is not supported", "use a model of Transformer, Pooling and Normalize");
      if (kind == "Pooling") {
        if (path.empty() || path.find("..") != std::string::npos || path.front() == '/') module.refuse("the path \"" + path + "\" is no folder beside it");
        pooling = folder / path / "config.json";
      }
    }
  }
  if (fs::exists(pooling)) settings.pooling = read_pooling(HfConfig::open(pooling));
  for (const char* name : {"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlm-roberta_config.json"})
    if (fs::exists(folder / name)) settings.window = HfConfig::open(folder / name).integer("max_seq_length", 0);
  return settings;
}

std::shared_ptr<const TextEncoder> make_sentence_encoder(std::shared_ptr<const Bert> model, std::shared_ptr<const Tokenizer> tokenizer,
                                                         SentenceSettings settings) {
  return std::make_shared<SentenceEncoder>(std::move(model), std::move(tokenizer), settings);
}

}  // namespace ingot
