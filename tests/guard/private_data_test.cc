#include "guard/private_data.h"

#include <gtest/gtest.h>

#include "core/random.h"

namespace ingot {
namespace {

TEST(PrivateData, EachKindIsMasked) {
  EXPECT_EQ(mask_private_data("mail jo.d+x@mail.example.org."), "mail [e-mail].");
  EXPECT_EQ(mask_private_data("call +49 30 1234567 or (555) 123-4567 now"), "call [phone] or [phone] now");
  EXPECT_EQ(mask_private_data("card 4111 1111 1111 1111, ok"), "card [card], ok");
  EXPECT_EQ(mask_private_data("to DE89 3704 0044 0532 0130 00 please"), "to [iban] please");
  EXPECT_EQ(mask_private_data("GB82WEST12345698765432"), "[iban]");
  EXPECT_EQ(mask_private_data("ssn 123-45-6789"), "ssn [national id]");
  EXPECT_EQ(mask_private_data("dni 12345678Z"), "dni [national id]");
  EXPECT_EQ(mask_private_data("cf RSSMRA85T10A562S"), "cf [national id]");
  EXPECT_EQ(mask_private_data("id 11010519491231002X"), "id [national id]");
  EXPECT_EQ(mask_private_data("key AKIAIOSFODNN7EXAMPLE"), "key [secret]");
  EXPECT_EQ(mask_private_data("password=hunter2x9Q"), "password=[secret]");
}

TEST(PrivateData, KeysWithoutAnEndAreMaskedToo) {
  const std::string open = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n";
  EXPECT_EQ(mask_private_data(open), "[secret]");
  EXPECT_EQ(mask_private_data(open + open + "AAAA"), "[secret][secret]");
  const std::string closed = open + "-----END PRIVATE KEY-----";
  EXPECT_EQ(mask_private_data(closed + " then " + closed + " x"), "[secret] then [secret] x");
}

TEST(PrivateData, TechnicalTextIsLeftAlone) {
  for (const char* text : {"segfault at 0x7fff5fbff8c0 in version 2.36-9+deb12u4", "bug 1234567 closed on 2024-01-31 10:22:33",
                           "192.168.100.200", "card 4111 1111 1111 1112", "commit 3d51871a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e", "@property and a@b",
                           "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30"})
    EXPECT_EQ(mask_private_data(text), text);
}

TEST(PrivateData, HostileTextsTakeLinearTime) {
  const size_t size = 2 << 20;
  for (const char* unit : {"@", "a@", "1 ", "(", "A", "a.", "DE89 ", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "+1-", "key=a1", "\xff", "a=b=c1D"}) {
    std::string text;
    while (text.size() < size) text += unit;
    for (const PrivateSpan& s : find_private_data(text)) ASSERT_LE(s.end, text.size());
  }
}

TEST(PrivateData, SpansRiseAndStayInside) {
  Random random(1);
  const std::string_view letters = "a1@. -+(=:/XDE89Z\xc3\n";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (uint64_t n = random.below(120); n > 0; --n) text += letters[random.below(letters.size())];
    size_t at = 0;
    for (const PrivateSpan& s : find_private_data(text)) {
      ASSERT_LE(at, s.begin);
      ASSERT_LT(s.begin, s.end);
      ASSERT_LE(s.end, text.size());
      at = s.end;
    }
  }
}

}  // namespace
}  // namespace ingot
