#include "foundry/fly/curate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foundry/triage/text_features.h"

namespace ingot {
namespace {

constexpr double kSurely = 2.33;  // standard deviations: one honest source in a hundred is suspected by chance

// Is a source right less often, where the champion is sure, than `ratio` of how sure it is, beyond chance?
bool surely_below(const Sureness& own, double ratio) {
  return own.right < ratio * own.sure - kSurely * std::sqrt(std::max(ratio * own.sure - ratio * ratio * own.squares, 0.25));
}

}  // namespace

void Curator::keep_out(const std::string& text) {
  judged_.insert(content_hash(text));
  evaluation_.add(min_hash(text), judged_.size());
}

Curated Curator::curate(const std::vector<Correction>& all, const std::function<Opinion(const Correction&)>& opinion) const {
  Curated result;
  std::vector<char> open(all.size(), 1);
  const auto drop = [&](size_t i, const std::string& reason) {
    open[i] = 0;
    result.dropped.emplace_back(i, reason);
    ++result.dropped_by[reason];
  };
  const auto hold = [&](size_t i, const std::string& reason) {
    if (all[i].state == "accepted") return;  // the owner has looked
    open[i] = 0;
    result.held.emplace_back(i, reason);
    ++result.held_by[reason];
  };
  std::vector<std::string> content(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const Correction& c = all[i];
    if (c.state == "rejected") drop(i, "rejected by the owner");
    else if (!c.consent) drop(i, "no consent to learn from it");
    else if (c.text.empty() || c.name.empty()) drop(i, "no text or no name");
    else if (c.text.size() < options_.fewest_bytes || (c.text.size() < 2 * options_.fewest_bytes && words_of(c.text).size() < options_.fewest_words)) drop(i, "low effort: the text says too little");
    else if (c.name.starts_with('[') && c.name.ends_with(']')) drop(i, "the name is private data");
    else content[i] = content_hash(c.text);
    if (open[i] && judged_.contains(content[i])) drop(i, "it is evaluation content");
  }
  // A burst comes first: what a flood repeats or contradicts must not decide about the others.
  if (options_.burst) {
    std::map<std::pair<std::string, int64_t>, size_t> minute;
    for (size_t i = 0; i < all.size(); ++i)
      if (open[i] && all[i].state.empty()) ++minute[{all[i].voter(), all[i].arrived / 60}];
    for (size_t i = 0; i < all.size(); ++i) {
      if (!open[i]) continue;
      const auto found = minute.find({all[i].voter(), all[i].arrived / 60});
      if (found != minute.end() && found->second > options_.burst) hold(i, "a burst from one source");
    }
  }
  // The last word of each voter about a text; then several voters against each other.
  std::map<std::pair<std::string, std::string>, size_t> last;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!open[i]) continue;
    const auto [at, fresh] = last.emplace(std::make_pair(content[i], all[i].voter()), i);
    if (fresh) continue;
    drop(at->second, all[at->second].name == all[i].name ? "said twice" : "taken back by its own source");
    at->second = i;
  }
  // Where voters differ about a text, the name that most of them give; none where that is undecided.
  std::map<std::string, std::map<std::string, size_t>> said;
  for (size_t i = 0; i < all.size(); ++i)
    if (open[i]) said[content[i]][all[i].name] += all[i].state == "accepted" ? all.size() : 1;
  const auto outvoted = [&](size_t i) {
    const auto& names = said[content[i]];
    const size_t mine = names.at(all[i].name);
    return std::any_of(names.begin(), names.end(), [&](const auto& other) { return other.first != all[i].name && other.second >= mine; });
  };
  std::set<std::string> seen;
  NearDuplicates near(options_.near);
  for (size_t i = 0; i < all.size(); ++i) {
    if (!open[i]) continue;
    if (outvoted(i)) drop(i, "contradicted by another source");
    else if (!seen.insert(content[i]).second) drop(i, "said twice");
    else {
      const MinHash hash = min_hash(all[i].text);
      const auto twin = near.find(hash);
      if (evaluation_.find(hash)) drop(i, "nearly evaluation content");
      else if (twin && all[*twin].name == all[i].name) drop(i, "nearly said twice");
      else near.add(hash, i);
    }
  }
  std::map<std::string, size_t> names;
  std::vector<Opinion> opinions(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    if (!open[i]) continue;
    opinions[i] = opinion(all[i]);
    if (opinions[i].stopped) drop(i, "stopped by a rail");
    else if (!opinions[i].known) ++names[all[i].name];
  }
  for (size_t i = 0; i < all.size(); ++i)
    if (open[i] && !opinions[i].known && names[all[i].name] < options_.new_name) hold(i, "a name that nobody knows, said too seldom");
  // A source that contradicts the champion where that is sure, more often than the others do and than its sureness allows for: what it
  // says against all that is known waits. Texts that the champion is unsure of, such as of a new subject, say nothing about a source.
  std::map<std::string, Sureness> by_voter;
  for (size_t i = 0; i < all.size(); ++i)
    if (open[i]) by_voter[all[i].voter()].add(opinions[i], options_.sure);
  std::set<std::string> suspect;
  for (const auto& [voter, own] : by_voter) {
    if (own.records < options_.suspect_from) continue;
    Sureness others;
    for (const auto& [other, theirs] : by_voter) {
      if (other == voter) continue;
      others.records += theirs.records;
      others.right += theirs.right;
      others.sure += theirs.sure;
    }
    const double before = reference_.records >= options_.suspect_from ? reference_.ratio() : 1;
    const double ratio = std::min(1.0, others.records >= options_.suspect_from ? std::min(before, others.ratio()) : before);
    if (surely_below(own, ratio)) suspect.insert(voter);
  }
  for (size_t i = 0; i < all.size(); ++i)
    if (open[i] && suspect.contains(all[i].voter()) && !opinions[i].expected) hold(i, "against all that is known, by a source that often is");
  // One source cannot outweigh the others: its newest count.
  std::map<std::string, size_t> votes;
  size_t sum = 0;
  for (size_t i = 0; i < all.size(); ++i)
    if (open[i]) ++votes[all[i].voter()], ++sum;
  std::map<std::string, size_t> taken;
  if (votes.size() > 1) {
    for (size_t i = all.size(); i-- > 0;) {
      if (!open[i]) continue;
      const std::string voter = all[i].voter();
      if (++taken[voter] > std::max(options_.free_votes, sum - votes[voter])) drop(i, "more than all other sources together");
    }
  }
  for (size_t i = 0; i < all.size(); ++i)
    if (open[i]) result.kept.push_back(i);
  return result;
}

}  // namespace ingot
