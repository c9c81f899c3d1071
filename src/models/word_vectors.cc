#include "models/word_vectors.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "core/files.h"
#include "core/sha256.h"
#include "text/normalise.h"

namespace ingot {
namespace {

constexpr uint32_t kFormat = 1;
constexpr size_t kLongestWord = 100;  // bytes; what is longer is no word

bool is_word(unsigned char c) { return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

std::shared_ptr<const WordVectors> WordVectors::load(std::span<const std::byte> bytes) {
  // Ten AIs that carry the same table hold it in memory once.
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const WordVectors>> kept;
  const std::string fingerprint = "words-" + hex(sha256(bytes)).substr(0, 16);
  std::lock_guard lock(mutex);
  if (const auto found = kept.find(fingerprint); found != kept.end()) {
    if (auto known = found->second.lock()) return known;
  }
  auto table = std::make_shared<WordVectors>();
  table->bytes_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  BlobReader in(std::as_bytes(std::span(table->bytes_)), "words.bin");
  in.require(in.get<uint32_t>() == kFormat);
  table->width_ = static_cast<int>(in.get<uint32_t>());
  in.require(table->width_ > 0 && table->width_ <= 4096);
  table->pieces_ = in.texts();
  table->scales_ = in.vector<float>();
  table->rows_ = in.vector<int8_t>();
  in.require(in.done() && table->scales_.size() == table->pieces_.size() && table->rows_.size() == table->pieces_.size() * table->width_);
  for (float scale : table->scales_) in.require(std::isfinite(scale));
  table->ids_.reserve(table->pieces_.size());
  for (uint32_t i = 0; i < table->pieces_.size(); ++i) {
    table->ids_.emplace(table->pieces_[i], i);
    table->longest_ = std::max(table->longest_, table->pieces_[i].size());
  }
  table->fingerprint_ = fingerprint;
  std::erase_if(kept, [](const auto& one) { return one.second.expired(); });
  kept[fingerprint] = table;
  return table;
}

std::shared_ptr<const WordVectors> WordVectors::shipped() {
  static std::mutex mutex;
  static std::weak_ptr<const WordVectors> kept;
  std::lock_guard lock(mutex);
  if (auto table = kept.lock()) return table;
  const auto path = share_dir() / "models/words.bin";
  if (!std::filesystem::exists(path)) throw Error(ErrorKind::environment, "the embedded word vectors are missing", path.string(), "install Ingot's share folder beside the binary");
  auto table = load(MappedFile(path).bytes());
  kept = table;
  return table;
}

void WordVectors::add(std::string_view word, std::vector<double>& sum) const {
  // Longest match first, as WordPiece does (Schuster, Nakajima 2012); a word that cannot be spelt with the pieces says nothing.
  uint32_t found[kLongestWord];
  size_t count = 0;
  std::string piece;
  for (size_t at = 0; at < word.size();) {
    bool matched = false;
    for (size_t size = std::min(word.size() - at, longest_); size > 0 && !matched; --size) {
      piece.assign(at ? "##" : "").append(word.substr(at, size));
      const auto id = ids_.find(piece);
      if (id == ids_.end()) continue;
      found[count++] = id->second;
      at += size;
      matched = true;
    }
    if (!matched) return;
  }
  for (size_t i = 0; i < count; ++i) {
    const int8_t* row = rows_.data() + size_t(found[i]) * width_;
    const double scale = scales_[found[i]];
    for (int d = 0; d < width_; ++d) sum[d] += scale * row[d];
  }
}

std::vector<float> WordVectors::encode(std::span<const std::string> texts, std::vector<int>* windows) const {
  std::vector<float> out(texts.size() * width_, 0.f);
  if (windows) windows->assign(texts.size(), 1);
  std::vector<double> sum(width_);
  for (size_t t = 0; t < texts.size(); ++t) {
    std::fill(sum.begin(), sum.end(), 0.0);
    const std::string text = normalise_text(texts[t]);
    for (size_t at = 0; at < text.size();) {
      size_t end = at;
      while (end < text.size() && is_word(static_cast<unsigned char>(text[end]))) ++end;
      if (end == at) ++end;
      const std::string_view word(text.data() + at, end - at);
      if (word != " " && word.size() <= kLongestWord) add(word, sum);
      at = end;
    }
    double norm = 0;
    for (double value : sum) norm += value * value;
    const double scale = norm > 0 ? 1 / std::sqrt(norm) : 0;
    for (int d = 0; d < width_; ++d) out[t * width_ + d] = static_cast<float>(sum[d] * scale);
  }
  return out;
}

}  // namespace ingot
