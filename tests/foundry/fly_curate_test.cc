#include "foundry/fly/curate.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace ingot {
namespace {

Correction say(int64_t id, const std::string& text, const std::string& name, const std::string& source = "ann") {
  Correction c;
  c.id = id;
  c.receipt = std::to_string(id);
  c.text = text;
  c.name = name;
  c.source = source;
  c.arrived = id * 60;
  return c;
}

std::string sentence(uint64_t seed, int words = 30) {
  Random random(seed);
  std::string text;
  for (int i = 0; i < words; ++i) text += "w" + std::to_string(random.below(5000)) + " ";
  return text;
}

Opinion fine(const Correction&) { return {}; }

TEST(NearDuplicates, EstimatesWhatTextsShare) {
  // 60 words of which the last k differ: Jaccard of the runs of three is known.
  const std::string base = sentence(1, 60);
  for (const int changed : {0, 3, 6, 15, 30}) {
    std::string other, word;
    int n = 0;
    for (const char c : base) {
      if (c != ' ') { word += c; continue; }
      other += (n++ >= 60 - changed ? "new" + std::to_string(n) : word) + " ";
      word.clear();
    }
    const double same = 58 - changed, truth = same / (2 * 58 - same);
    EXPECT_NEAR(resemblance(min_hash(base), min_hash(other)), truth, 3 * 0.0442) << changed;
  }
  EXPECT_LT(resemblance(min_hash(sentence(2)), min_hash(sentence(3))), 0.05);
  EXPECT_EQ(content_hash("The Index  is EMPTY"), content_hash("the index is empty"));
  EXPECT_NE(content_hash("the index is empty"), content_hash("the index is full"));
  NearDuplicates near(0.8);
  for (uint64_t i = 0; i < 200; ++i) near.add(min_hash(sentence(100 + i)), i);
  for (uint64_t i = 0; i < 200; ++i) {
    const auto found = near.find(min_hash(sentence(100 + i) + "one"));
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, i);
  }
  EXPECT_FALSE(near.find(min_hash(sentence(999))));
  EXPECT_EQ(min_hash(""), min_hash("  "));
}

TEST(Curate, SaysWhyOfEachThatIsLeftOut) {
  Curator curator({}, {});
  curator.keep_out(sentence(1));
  std::vector<Correction> all = {
      say(1, sentence(1), "p"),                       // held-out text
      say(2, sentence(1) + "and", "p"),               // nearly
      say(3, sentence(2), "p"), say(4, sentence(2), "p"),             // twice by the same
      say(5, sentence(3), "p"), say(6, sentence(3), "q", "bob"),      // two sources against each other
      say(7, sentence(4), "p"), say(8, sentence(4), "q", "bob"), say(9, sentence(4), "q", "cid"),  // two against one
      say(10, "bad", "p"), say(11, "", "p"), say(12, sentence(5), ""),
      say(13, sentence(6), "p"), say(14, sentence(6), "q"),           // took it back
      say(15, sentence(7), "[e-mail]"), say(16, sentence(8), "stranger"), say(17, sentence(9), "p"),
      say(18, sentence(10), "p"), say(19, sentence(11), "p"), say(20, sentence(12), "p")};
  all[17].consent = false;
  all[18].state = "rejected";
  const Curated done = curator.curate(all, [](const Correction& c) {
    Opinion opinion;
    opinion.known = c.name != "stranger";
    opinion.stopped = c.id == 20;
    return opinion;
  });
  const std::map<std::string, size_t> dropped = {{"it is evaluation content", 1}, {"nearly evaluation content", 1}, {"said twice", 2}, {"contradicted by another source", 3},
                                                 {"low effort: the text says too little", 1}, {"no text or no name", 2}, {"taken back by its own source", 1},
                                                 {"the name is private data", 1}, {"no consent to learn from it", 1}, {"rejected by the owner", 1}, {"stopped by a rail", 1}};
  EXPECT_EQ(done.dropped_by, dropped);
  EXPECT_EQ(done.held_by, (std::map<std::string, size_t>{{"a name that nobody knows, said too seldom", 1}}));
  EXPECT_EQ(done.kept.size() + done.dropped.size() + done.held.size(), all.size());
  std::vector<int64_t> kept;
  for (size_t i : done.kept) kept.push_back(all[i].id);
  EXPECT_EQ(kept, (std::vector<int64_t>{4, 8, 14, 17}));
}

TEST(Curate, HoldsABurstAndItsOwnerMayTakeIt) {
  std::vector<Correction> all;
  for (int i = 0; i < 300; ++i) all.push_back(say(i, sentence(1000 + i), "p", "flood")), all.back().arrived = 7;
  for (int i = 0; i < 30; ++i) all.push_back(say(400 + i, sentence(5000 + i), "q", "ann")), all.back().arrived = 7;
  // The flood contradicts nobody while it is held, even about the same texts.
  for (int i = 0; i < 30; ++i) all.push_back(say(500 + i, sentence(5000 + i), "z", "flood")), all.back().arrived = 7;
  const Curator curator({}, {});
  const Curated done = curator.curate(all, fine);
  EXPECT_EQ(done.held_by.at("a burst from one source"), 330u);
  EXPECT_EQ(done.kept.size(), 30u);
  for (Correction& c : all) c.state = "accepted";
  EXPECT_GT(curator.curate(all, fine).kept.size(), 30u);
}

TEST(Curate, NoSourceOutweighsTheOthers) {
  std::vector<Correction> all;
  for (int i = 0; i < 500; ++i) all.push_back(say(i, sentence(1000 + i), "p", "loud"));
  for (int i = 0; i < 80; ++i) all.push_back(say(600 + i, sentence(5000 + i), "q", i % 2 ? "ann" : "bob"));
  const Curated done = Curator({}, {}).curate(all, fine);
  EXPECT_EQ(done.kept.size(), 160u);
  EXPECT_EQ(done.dropped_by.at("more than all other sources together"), 420u);
  EXPECT_EQ(all[done.kept[0]].id, 420);  // its newest count
  // Alone it is taken: there is nobody whom it outweighs.
  EXPECT_EQ(Curator({}, {}).curate({all.begin(), all.begin() + 500}, fine).kept.size(), 500u);
}

TEST(Curate, WhatASuspectSaysAgainstAllThatIsKnownWaits) {
  // Where the champion is sure (seven of ten) honest people confirm it as often; one source lies in a fifth of its records. Where it is
  // not (half of the records) nothing can be told.
  size_t lies = 0, held_lies = 0, held = 0, suspected_honest = 0;
  for (uint64_t round = 0; round < 20; ++round) {
    Random random(round);
    std::vector<Correction> all;
    std::set<int64_t> expected, lied;
    for (int i = 0; i < 1500; ++i) {
      const std::string source = "key" + std::to_string(i % 5);
      all.push_back(say(i, sentence(round * 10000 + i), "p" + std::to_string(i % 7), source));
      const bool lie = source == "key3" && random.below(5) == 0;
      if (lie) lied.insert(i);
      if (!lie && random.below(10) < (i % 2 ? 7u : 2u)) expected.insert(i);
    }
    const Curated done = Curator({}, {}).curate(all, [&](const Correction& c) {
      Opinion opinion;
      opinion.expected = opinion.first = expected.contains(c.id);
      opinion.confidence = c.id % 2 ? 0.7 : 0.3;
      return opinion;
    });
    lies += lied.size();
    bool honest = false;
    for (const auto& [i, reason] : done.held) {
      held_lies += lied.contains(all[i].id);
      held += all[i].source == "key3";
      honest |= all[i].source != "key3";
    }
    suspected_honest += honest;
  }
  EXPECT_GT(static_cast<double>(held_lies), 0.75 * static_cast<double>(lies));  // the source stands out in nearly every round
  EXPECT_GE(held, held_lies);
  EXPECT_LE(suspected_honest, 4u);  // 20 rounds, four honest sources, one in a hundred by chance
}

}  // namespace
}  // namespace ingot
