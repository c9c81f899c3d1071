#include "guard/output_gate.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "guard/sentences.h"
#include "models/word_vectors.h"

namespace ingot {
namespace {

std::shared_ptr<const Rails> rails_of(RailSettings settings) { return std::make_shared<Rails>(std::move(settings), std::nullopt); }

RailSettings masking() {
  RailSettings settings;
  settings.output_private_data = RailMode::mask;
  return settings;
}

// Everything that leaves when the text comes in pieces of at most `longest` bytes.
std::string through(ReleaseGate& gate, std::string_view text, size_t longest, uint64_t seed) {
  Random random(seed);
  std::string out;
  while (!text.empty() && !gate.stopped()) {
    const size_t size = std::min<size_t>(text.size(), 1 + random.below(longest));
    out += gate.push(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out + gate.finish();
}

TEST(OutputGate, WithoutRailsEverythingLeavesAtOnce) {
  const auto gate = make_release_gate(nullptr);
  EXPECT_EQ(gate->push("half a wo"), "half a wo");
  EXPECT_EQ(make_release_gate(rails_of({}))->push("x"), "x");
}

TEST(OutputGate, HoldsASentenceUntilItsEnd) {
  const auto gate = make_release_gate(rails_of(masking()));
  EXPECT_EQ(gate->push("The first one"), "");
  EXPECT_EQ(gate->push(" ends here."), "");
  EXPECT_EQ(gate->push(" A"), "The first one ends here. ");
  EXPECT_EQ(gate->push(" second"), "");
  EXPECT_EQ(gate->finish(), "A second");
}

TEST(OutputGate, MasksAcrossPiecesAsInTheWhole) {
  const char* parts[] = {"Write to anna.meier@example.com. ", "Call +49 30 1234567 or (555) 123-4567. ", "Pay to DE89 3704 0044 0532 0130 00 today. ", "The card is 4111 1111 1111 1111, she said. ",
                         "In 2019 there were 12. Then 14 more came. ", "password=hunter2x9Q and nothing else\n", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nAAAABBBBCCCC\n-----END PRIVATE KEY-----\n",
                         "e.g. Dr. Smith lives at 12 Long Lane, Apt 4, they say. ", "no end in sight for this sentence which goes on and on over many words without any stop whatsoever and then some more of them ",
                         "key AKIAIOSFODNN7EXAMPLE! ", "Ask 555. 123-4567 is it? ", "GB82 WEST 1234 5698 7654 32 is his. ", "my password is Tr0ub4dor&3 ok? ", "a\n\nb\n", "postgres://bob:s3cretpw@db/x "};
  Random random(3);
  for (int round = 0; round < 400; ++round) {
    std::string text;
    for (uint64_t n = 1 + random.below(12); n > 0; --n) text += parts[random.below(std::size(parts))];
    const auto gate = make_release_gate(rails_of(masking()));
    ASSERT_EQ(through(*gate, text, round % 3 == 0 ? 1 : 40, static_cast<uint64_t>(round)), mask_private_data(text)) << text;
  }
}

TEST(OutputGate, ACutInAnyPlaceLeaksNothing) {
  const std::string secret = "The number is 4111 1111 1111 1111 and the mail is anna@example.com, so there. And more.";
  for (size_t cut = 1; cut < secret.size(); ++cut) {
    const auto gate = make_release_gate(rails_of(masking()));
    std::string out = gate->push(secret.substr(0, cut));
    out += gate->push(secret.substr(cut));
    out += gate->finish();
    ASSERT_EQ(out, "The number is [card] and the mail is [e-mail], so there. And more.") << cut;
  }
}

TEST(OutputGate, WhatBlocksIsReplacedByAReasonAndNothingFollows) {
  RailSettings settings;
  settings.output_private_data = RailMode::block;
  settings.words = {"forbidden\\s+fruit"};
  for (const char* text : {"All is well. The mail is anna@example.com here. More to come. ", "All is well. Eat the forbidden fruit now. More to come. ", "All is well. Eat the forbidden\nfruit now. More to come. "}) {
    for (size_t longest : {1, 7, 200}) {
      const auto gate = make_release_gate(rails_of(settings));
      const std::string out = through(*gate, text, longest, 1);
      EXPECT_TRUE(gate->stopped());
      EXPECT_FALSE(gate->reason().empty());
      EXPECT_TRUE(out.starts_with("All is well. ")) << out;
      EXPECT_NE(out.find(gate->reason()), std::string::npos);
      EXPECT_EQ(out.find("anna"), std::string::npos);
      EXPECT_EQ(out.find("forbidden"), std::string::npos) << out;
      EXPECT_EQ(out.find("More"), std::string::npos);
      EXPECT_EQ(gate->push("and on"), "");
      EXPECT_EQ(gate->finish(), "");
    }
  }
}

TEST(OutputGate, LengthLanguageAndCirclesEndAnAnswer) {
  RailSettings length;
  length.output_longest = 40;
  auto gate = make_release_gate(rails_of(length));
  EXPECT_TRUE(through(*gate, "Short one. Then a very long sentence that passes the limit of this AI by far.", 5, 1).starts_with("Short one. "));
  EXPECT_EQ(gate->rail(), "length");
  RailSettings circles;
  circles.output_repetition = RailMode::block;
  gate = make_release_gate(rails_of(circles));
  std::string text = "We begin with a sentence that is new. ";
  for (int i = 0; i < 60; ++i) text += "I am so happy to be here today. ";
  through(*gate, text, 9, 2);
  EXPECT_EQ(gate->rail(), "repetition");
  RailSettings language;
  language.output_language = RailMode::block;
  language.languages = {"en"};
  gate = make_release_gate(rails_of(language));
  through(*gate, "Das ist eine Antwort, die nicht in der Sprache ist, in der gefragt wurde, und sie geht noch weiter. ", 9, 2);
  EXPECT_EQ(gate->rail(), "language");
}

TEST(OutputGate, WatchLetsPass) {
  RailSettings settings;
  settings.output_private_data = RailMode::watch;
  const auto rails = rails_of(settings);
  const auto gate = make_release_gate(rails);
  EXPECT_EQ(through(*gate, "Mail anna@example.com now. Bye.", 3, 1), "Mail anna@example.com now. Bye.");
  ASSERT_EQ(rails->counts().size(), 1u);
  EXPECT_EQ(rails->counts()[0].watched, 1u);
  EXPECT_EQ(rails->counts()[0].stage, RailStage::output);
}

TEST(OutputGate, ARailThatCannotRunBlocksAndIsCounted) {
  RailSettings settings;
  settings.output_topic = RailMode::block;
  const auto rails = rails_of(settings);  // no topic rail was ever trained
  const auto gate = make_release_gate(rails);
  const std::string out = through(*gate, "Anything at all. And more.", 4, 1);
  EXPECT_TRUE(gate->stopped());
  EXPECT_EQ(out.find("Anything"), std::string::npos);
  EXPECT_EQ(rails->counts()[0].failed, 1u);
  settings.open = {"topic"};
  const auto open = rails_of(settings);
  const auto lax = make_release_gate(open);
  EXPECT_EQ(through(*lax, "Anything at all. And more.", 4, 1), "Anything at all. And more.");
  EXPECT_EQ(open->counts()[0].failed, 2u);
}

TEST(OutputGate, UnsupportedSentencesAreLeftOut) {
  RailSettings settings;
  settings.grounding = RailMode::block;
  AnswerContext context;
  context.question = "When was the bridge built?";
  context.documents = {"The old bridge over the river was built in 1893 by Anna Keller. It is made of iron and stone.", "Trams cross it every ten minutes."};
  auto gate = make_release_gate(rails_of(settings), context);
  EXPECT_EQ(through(*gate, "The bridge was built in 1893. It was built by Tom Brown. It is made of iron. It is painted in a bright green colour.", 6, 1),
            "The bridge was built in 1893. It is made of iron. ");
  EXPECT_FALSE(gate->stopped());
  gate = make_release_gate(rails_of(settings), context);
  const std::string out = through(*gate, "The bridge was built in 1950. Elephants walk over it.", 6, 1);
  EXPECT_TRUE(gate->stopped());
  EXPECT_EQ(out.find("1950"), std::string::npos);
  gate = make_release_gate(rails_of(settings), context);
  EXPECT_EQ(through(*gate, "The bridge was built in 1893 [1]. Trams cross it every ten minutes [1]. Trams cross it every ten minutes [2]. ", 6, 1),
            "The bridge was built in 1893 [1]. Trams cross it every ten minutes [2]. ") << "a sentence is looked for where it points to";
}

TEST(OutputGate, HostileTextIsHeldInBounds) {
  for (const char* unit : {"a", "1 ", "-----BEGIN ", "4111 ", "\xff", "x. ", "\n", "A1b2"}) {
    RailSettings settings = masking();
    settings.words = {"a b"};
    const auto gate = make_release_gate(rails_of(settings));
    std::string text;
    while (text.size() < 60000) text += unit;
    size_t pushed = 0, left = 0;
    for (size_t at = 0; at < text.size(); at += 1000) {
      left += gate->push(std::string_view(text).substr(at, 1000)).size();
      pushed += std::min<size_t>(1000, text.size() - at);
    }
    left += gate->finish().size();
    EXPECT_GT(left, 0u) << unit;
  }
}

TEST(Sentences, EndsAndAbbreviations) {
  EXPECT_EQ(sentence_end("One. Two."), 5u);
  EXPECT_EQ(sentence_end("Two."), std::string_view::npos);
  EXPECT_EQ(sentence_end("e.g. this one. X"), 15u);
  EXPECT_EQ(sentence_end("pi is 3.14 here! Y"), 17u);
  EXPECT_EQ(sentence_end("\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82x"), 9u);
  EXPECT_EQ(sentences_of("One two. Three\nfour five six", 2).size(), 4u);
}

}  // namespace
}  // namespace ingot
