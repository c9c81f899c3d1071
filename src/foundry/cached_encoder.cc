#include "foundry/cached_encoder.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>

#include "core/blob.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/sha256.h"
#include "kernels/target.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAtOnce = 64;              // texts a call of the trunk, between two looks at Ctrl-C
constexpr uint64_t kMost = uint64_t{1} << 31;  // bytes of a cache file

fs::path user_cache() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return (xdg ? fs::path(xdg) : fs::path(home ? home : "/nonexistent") / ".cache") / "ingot" / "features";
}

}  // namespace

struct CachedEncoder::State {
  std::mutex mutex;
  fs::path file;
  std::map<Digest, std::vector<float>> known;
  std::map<Digest, int> windows;
  std::ofstream out;
  Used used;
};

// A file is records of a text's digest, its windows and its vector; a last one that is cut off is overwritten.
CachedEncoder::CachedEncoder(std::shared_ptr<const TextEncoder> inner, fs::path folder) : inner_(std::move(inner)), state_(new State) {
  const auto width = static_cast<size_t>(inner_->width());
  const std::string key = inner_->fingerprint() + " " + std::string(target_name(active_target()));
  if (folder.empty()) folder = user_cache();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return;
  state_->file = folder / (hex(sha256(key)).substr(0, 32) + ".bin");
  const size_t record = sizeof(Digest) + sizeof(int32_t) + width * sizeof(float);
  uint64_t whole = 0;
  if (fs::is_regular_file(state_->file, failed) && fs::file_size(state_->file, failed) >= record) {
    try {
      MappedFile file(state_->file);
      for (; whole + record <= file.bytes().size(); whole += record) {
        const std::byte* at = file.bytes().data() + whole;
        Digest digest;
        int32_t windows;
        std::memcpy(digest.data(), at, digest.size());
        std::memcpy(&windows, at + digest.size(), sizeof windows);
        std::vector<float> row(width);
        std::memcpy(row.data(), at + digest.size() + sizeof windows, width * sizeof(float));
        state_->known[digest] = std::move(row);
        state_->windows[digest] = windows;
      }
    } catch (const Error&) {
      whole = 0;
    }
    fs::resize_file(state_->file, whole, failed);
  }
  if (whole < kMost) state_->out.open(state_->file, std::ios::binary | std::ios::app);
}

CachedEncoder::~CachedEncoder() = default;

std::vector<float> CachedEncoder::encode(std::span<const std::string> texts, std::vector<int>* windows) const {
  std::lock_guard lock(state_->mutex);
  const auto width = static_cast<size_t>(inner_->width());
  std::vector<Digest> digests;
  std::vector<size_t> missing;
  std::map<Digest, size_t> asked;
  for (size_t i = 0; i < texts.size(); ++i) {
    digests.push_back(sha256(texts[i]));
    if (!state_->known.contains(digests[i]) && asked.emplace(digests[i], i).second) missing.push_back(i);
  }
  const auto start = std::chrono::steady_clock::now();
  if (!missing.empty()) {
    std::optional<Progress> progress;  // a caller that asks in small parts shows its own
    if (missing.size() > 8 * kAtOnce) progress.emplace("read texts", missing.size());
    for (size_t from = 0; from < missing.size(); from += kAtOnce) {
      if (missing.size() > kAtOnce) stop_if_interrupted("reading the texts");
      const size_t to = std::min(missing.size(), from + kAtOnce);
      std::vector<std::string> some;
      for (size_t i = from; i < to; ++i) some.push_back(texts[missing[i]]);
      std::vector<int> cut;
      const auto rows = inner_->encode(some, &cut);
      for (size_t i = from; i < to; ++i) {
        const Digest& digest = digests[missing[i]];
        const float* row = rows.data() + (i - from) * width;
        const int32_t count = cut[i - from];
        state_->known[digest].assign(row, row + width);
        state_->windows[digest] = count;
        if (!state_->out) continue;
        state_->out.write(reinterpret_cast<const char*>(digest.data()), static_cast<long>(digest.size()));
        state_->out.write(reinterpret_cast<const char*>(&count), sizeof count);
        state_->out.write(reinterpret_cast<const char*>(row), static_cast<long>(width * sizeof(float)));
      }
      if (state_->out) state_->out.flush();
      if (progress) progress->advance(to - from);
    }
    if (progress) progress->finish();
    state_->used.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  state_->used.read += missing.size();
  state_->used.from_cache += texts.size() - missing.size();
  std::vector<float> out;
  out.reserve(texts.size() * width);
  if (windows) windows->clear();
  for (const Digest& digest : digests) {
    const auto& row = state_->known[digest];
    out.insert(out.end(), row.begin(), row.end());
    if (windows) windows->push_back(state_->windows[digest]);
  }
  return out;
}

CachedEncoder::Used CachedEncoder::used() const {
  std::lock_guard lock(state_->mutex);
  return state_->used;
}

}  // namespace ingot
