#include "text/tokenizer.h"

#include <algorithm>
#include <queue>

#include "core/error.h"

namespace ingot {
namespace {

uint64_t pair_key(int32_t a, int32_t b) { return uint64_t{static_cast<uint32_t>(a)} << 32 | static_cast<uint32_t>(b); }

}  // namespace

Tokenizer::Tokenizer(std::vector<std::string> vocab, std::vector<std::pair<int32_t, int32_t>> merges, std::vector<AddedToken> added,
                     PreTokenizer pre)
    : vocab_(std::move(vocab)), special_(vocab_.size()), merges_(std::move(merges)), added_(std::move(added)), pre_(pre) {
  for (const AddedToken& token : added_) {
    if (token.text.empty() || token.id < 0 || token.id >= size())
      bad_input("added token \"" + token.text + "\" has the id " + std::to_string(token.id) + " of " + std::to_string(size()), "tokenizer", "use the model's own tokenizer");
    special_[static_cast<size_t>(token.id)] = token.special;
  }
  std::vector<bool> is_added(vocab_.size());
  for (const AddedToken& token : added_) is_added[static_cast<size_t>(token.id)] = true;
  for (int32_t id = 0; id < size(); ++id)
    if (!is_added[static_cast<size_t>(id)]) ids_.emplace(vocab_[static_cast<size_t>(id)], id);
  for (int b = 0; b < 256; ++b) {
    auto it = ids_.find(std::string(1, static_cast<char>(b)));
    byte_ids_[static_cast<size_t>(b)] = it == ids_.end() ? -1 : it->second;
  }
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    auto [a, b] = merges_[rank];
    if (a < 0 || b < 0 || a >= size() || b >= size()) bad_input("merge " + std::to_string(rank) + " names an unknown token", "tokenizer", "use the model's own tokenizer");
    auto it = ids_.find(vocab_[static_cast<size_t>(a)] + vocab_[static_cast<size_t>(b)]);
    if (it == ids_.end()) bad_input("merge " + std::to_string(rank) + " makes no token of the vocabulary", "tokenizer", "use the model's own tokenizer");
    ranks_.emplace(pair_key(a, b), std::pair(static_cast<int32_t>(rank), it->second));
  }
  std::stable_sort(added_.begin(), added_.end(), [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
}

int32_t Tokenizer::find(std::string_view piece) const {
  for (const AddedToken& token : added_)
    if (token.text == piece) return token.id;
  auto it = ids_.find(std::string(piece));
  return it == ids_.end() ? -1 : it->second;
}

// Merges the pair of lowest rank, leftmost first, with a heap over a linked list: n log n for a hostile piece.
void Tokenizer::encode_piece(std::string_view piece, std::vector<int32_t>& out) const {
  if (auto it = ids_.find(std::string(piece)); it != ids_.end() && piece.size() == 1) return out.push_back(it->second);
  struct Node {
    int32_t id, previous, next;
  };
  struct Candidate {
    int32_t rank, left, a, b, id;
    bool operator<(const Candidate& o) const { return rank != o.rank ? rank > o.rank : left > o.left; }
  };
  thread_local std::vector<Node> nodes;
  nodes.clear();
  for (unsigned char c : piece)
    if (byte_ids_[c] >= 0) {
      auto i = static_cast<int32_t>(nodes.size());
      nodes.push_back({byte_ids_[c], i - 1, i + 1});
    }
  if (nodes.empty()) return;
  nodes.back().next = -1;
  std::priority_queue<Candidate> queue;
  auto offer = [&](int32_t left) {
    if (left < 0 || nodes[static_cast<size_t>(left)].next < 0) return;
    const Node& l = nodes[static_cast<size_t>(left)];
    const Node& r = nodes[static_cast<size_t>(l.next)];
    if (auto it = ranks_.find(pair_key(l.id, r.id)); it != ranks_.end()) queue.push({it->second.first, left, l.id, r.id, it->second.second});
  };
  for (int32_t i = 0; i < static_cast<int32_t>(nodes.size()); ++i) offer(i);
  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    Node& l = nodes[static_cast<size_t>(best.left)];
    if (l.id != best.a || l.next < 0 || nodes[static_cast<size_t>(l.next)].id != best.b) continue;
    Node& r = nodes[static_cast<size_t>(l.next)];
    l.id = best.id;
    r.id = -1;
    l.next = r.next;
    if (l.next >= 0) nodes[static_cast<size_t>(l.next)].previous = best.left;
    offer(l.previous);
    offer(best.left);
  }
  for (int32_t i = 0; i >= 0; i = nodes[static_cast<size_t>(i)].next) out.push_back(nodes[static_cast<size_t>(i)].id);
}

std::vector<int32_t> Tokenizer::encode(std::string_view raw, bool parse_special, bool add_special) const {
  std::string text = repair_utf8(raw);
  std::vector<int32_t> out;
  if (add_special && add_bos && bos >= 0) out.push_back(bos);
  std::unordered_map<std::string_view, std::pair<size_t, size_t>> seen;  // piece -> its ids in `out`
  std::vector<std::string_view> pieces;
  auto plain = [&](std::string_view part) {
    pieces.clear();
    pre_tokenize(pre_, part, pieces);
    for (std::string_view piece : pieces) {
      auto it = seen.find(piece);
      if (it != seen.end()) {
        for (size_t i = 0; i < it->second.second; ++i) out.push_back(out[it->second.first + i]);
        continue;
      }
      size_t start = out.size();
      encode_piece(piece, out);
      seen.emplace(piece, std::pair(start, out.size() - start));
    }
  };
  std::string_view rest = text;
  if (parse_special && !added_.empty()) {
    bool first[256] = {};
    for (const AddedToken& token : added_) first[static_cast<unsigned char>(token.text[0])] = true;
    size_t i = 0;
    while (i < rest.size()) {
      const AddedToken* hit = nullptr;
      if (first[static_cast<unsigned char>(rest[i])])
        for (const AddedToken& token : added_)
          if (rest.substr(i).starts_with(token.text)) {
            hit = &token;
            break;
          }
      if (!hit) {
        ++i;
        continue;
      }
      plain(rest.substr(0, i));
      out.push_back(hit->id);
      rest.remove_prefix(i + hit->text.size());
      i = 0;
    }
  }
  plain(rest);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool with_special) const {
  std::string out;
  for (int32_t id : ids)
    if (id >= 0 && id < size() && (with_special || !is_special(id))) out += piece(id);
  return out;
}

}  // namespace ingot
