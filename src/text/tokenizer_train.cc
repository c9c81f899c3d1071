#include <algorithm>
#include <queue>
#include <unordered_map>

#include "core/error.h"
#include "core/progress.h"
#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

struct Word {
  std::vector<int32_t> ids;
  int64_t count;
};

struct Pair {
  int64_t count = 0;
  std::vector<uint32_t> words;  // may name a word that no longer has the pair, or twice
};

uint64_t key_of(int32_t a, int32_t b) { return uint64_t{static_cast<uint32_t>(a)} << 32 | static_cast<uint32_t>(b); }

}  // namespace

std::shared_ptr<const Tokenizer> train_tokenizer(std::span<const std::string_view> texts, int32_t vocab_size, PreTokenizer pre,
                                                 std::span<const std::string> specials) {
  int32_t first = static_cast<int32_t>(specials.size());
  if (vocab_size < first + 256)
    bad_input("a vocabulary of " + std::to_string(vocab_size) + " is too small", "--vocab", "ask for at least " + std::to_string(first + 256) + " (256 bytes and the special tokens)");
  std::unordered_map<std::string, int64_t> counts;
  std::vector<std::string_view> pieces;
  for (std::string_view text : texts) {
    std::string clean = repair_utf8(text);
    for (size_t at = 0; at < clean.size();) {  // by line, so that the list of pieces stays small
      size_t end = std::min(clean.find('\n', std::min(at + (1 << 16), clean.size())), clean.size());
      pieces.clear();
      pre_tokenize(pre, std::string_view(clean).substr(at, end - at), pieces);
      for (std::string_view piece : pieces) ++counts[std::string(piece)];
      at = end;
    }
  }
  std::vector<std::string> vocab(specials.begin(), specials.end());
  for (int b = 0; b < 256; ++b) vocab.emplace_back(1, static_cast<char>(b));
  std::vector<Word> words;
  {
    std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());  // the hash's order must not matter
    std::sort(sorted.begin(), sorted.end());
    for (auto& [text, count] : sorted) {
      Word word{{}, count};
      for (unsigned char c : text) word.ids.push_back(first + c);
      words.push_back(std::move(word));
    }
  }
  std::unordered_map<uint64_t, Pair> pairs;
  for (uint32_t w = 0; w < words.size(); ++w)
    for (size_t i = 0; i + 1 < words[w].ids.size(); ++i) {
      Pair& pair = pairs[key_of(words[w].ids[i], words[w].ids[i + 1])];
      pair.count += words[w].count;
      if (pair.words.empty() || pair.words.back() != w) pair.words.push_back(w);
    }
  auto later = [](const std::pair<int64_t, uint64_t>& a, const std::pair<int64_t, uint64_t>& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  };
  std::priority_queue<std::pair<int64_t, uint64_t>, std::vector<std::pair<int64_t, uint64_t>>, decltype(later)> queue(later);
  for (const auto& [key, pair] : pairs) queue.emplace(pair.count, key);
  std::vector<std::pair<int32_t, int32_t>> merges;
  std::unordered_map<std::string, int32_t> known;
  for (int32_t i = first; i < first + 256; ++i) known.emplace(vocab[static_cast<size_t>(i)], i);
  Progress progress("merges", static_cast<uint64_t>(vocab_size) - vocab.size());
  while (static_cast<int32_t>(vocab.size()) < vocab_size && !queue.empty()) {
    if (interrupted()) throw Error(ErrorKind::interrupted, "interrupted", "tokenizer train", "run it again; nothing was written");
    const auto count = queue.top().first;
    const auto key = queue.top().second;  // clang 14 cannot capture a structured binding
    queue.pop();
    auto entry = pairs.find(key);
    if (entry == pairs.end() || entry->second.count != count) {
      if (entry != pairs.end() && entry->second.count > 0 && entry->second.count < count) queue.emplace(entry->second.count, key);
      continue;
    }
    if (count < 2) break;
    auto a = static_cast<int32_t>(key >> 32), b = static_cast<int32_t>(key & 0xffffffffu);
    std::string text = vocab[static_cast<size_t>(a)] + vocab[static_cast<size_t>(b)];
    auto [it, is_new] = known.emplace(text, static_cast<int32_t>(vocab.size()));
    int32_t id = it->second;
    if (is_new) vocab.push_back(text);
    merges.emplace_back(a, b);
    std::vector<uint32_t> touched = std::move(entry->second.words);
    pairs.erase(entry);
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    std::vector<uint64_t> grown;
    for (uint32_t w : touched) {
      Word& word = words[w];
      auto& ids = word.ids;
      auto change = [&](int32_t x, int32_t y, int64_t by) {
        uint64_t k = key_of(x, y);
        if (k == key) return;
        Pair& pair = pairs[k];
        pair.count += by;
        if (by > 0) {
          if (pair.words.empty() || pair.words.back() != w) pair.words.push_back(w);
          grown.push_back(k);
        }
      };
      size_t to = 0;
      for (size_t i = 0; i < ids.size(); ++i) {
        if (i + 1 < ids.size() && ids[i] == a && ids[i + 1] == b) {
          if (to > 0) change(ids[to - 1], a, -word.count), change(ids[to - 1], id, word.count);
          if (i + 2 < ids.size()) change(b, ids[i + 2], -word.count), change(id, ids[i + 2], word.count);
          ids[to++] = id;
          ++i;
        } else {
          ids[to++] = ids[i];
        }
      }
      ids.resize(to);
    }
    std::sort(grown.begin(), grown.end());
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (uint64_t k : grown)
      if (int64_t c = pairs[k].count; c > 0) queue.emplace(c, k);
    progress.advance();
  }
  TokenizerParts parts;
  parts.name = "the trained tokenizer";
  for (int32_t i = 0; i < first; ++i) parts.added.push_back({specials[static_cast<size_t>(i)], i, true});
  for (const std::string& piece : vocab) parts.vocab.add(piece);
  parts.vocab.index();
  for (auto [a, b] : merges) parts.merges.push_back({a, b, known.at(vocab[static_cast<size_t>(a)] + vocab[static_cast<size_t>(b)])});
  parts.cuts = cuts_of(pre);
  parts.bpe.bytes = true;
  if (first > 0) parts.eos = 0;
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace ingot
