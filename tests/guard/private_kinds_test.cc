#include <gtest/gtest.h>

#include "guard/language.h"
#include "guard/private_data.h"
#include "guard/repetition.h"

namespace ingot {
namespace {

// Numbers from the states' own published examples.
TEST(PrivateKinds, NationalIds) {
  for (const char* id : {"078-05-1120", "12345678Z", "X1234567L", "RSSMRA85T10A562S", "11010519491231002X", "255081416802538", "2 55 08 14 168 025 38", "86095742719", "86 095 742 719", "QQ123456C", "AB 12 34 56 C",
                         "111.444.777-35", "44051401359", "811218-9876", "19811218-9876", "130-692-544", "2345 6789 0124", "85.07.30-033.28"}) {
    const bool valid = std::string_view(id) != "QQ123456C";  // prefix Q is never given out
    EXPECT_EQ(mask_private_data(std::string("it is ") + id + " here"), std::string("it is ") + (valid ? "[national id]" : id) + " here") << id;
  }
  EXPECT_EQ(mask_private_data("BSN: 111222333"), "BSN: [national id]");
  for (const char* other : {"111222333 bytes", "44051401358", "046-454-286", "2345 6789 0123", "111.444.777-36", "811218-9877", "86095742718", "build 12345678901 done", "id 123456789012345", "AB123456E"})
    EXPECT_EQ(mask_private_data(other).find("[national id]"), std::string::npos) << other;
}

TEST(PrivateKinds, Addresses) {
  for (const char* text : {"12 Long Lane", "221B Baker Street", "1600 Pennsylvania Avenue", "7 Old Mill Rd, Apt 4", "Hauptstra\xc3\x9f" "e 12a", "Lange Gasse 3", "12 rue de la Paix", "5 bis avenue Victor Hugo", "Calle Mayor 5", "Via Roma, 3", "PO Box 123",
                           "P.O. Box 77"})
    EXPECT_EQ(mask_private_data(std::string("lives at ") + text + "."), "lives at [address].") << text;
  for (const char* text : {"12 Debian packages", "version 12 Street Fighter", "3 Main loops were changed", "100 Way to go", "use 5 Drive letters", "the 2 Place holders", "in 1999 Long after", "Port 8080", "Chapter 12", "Rules 1 to 5"})
    EXPECT_EQ(mask_private_data(text), text);
}

TEST(PrivateKinds, Secrets) {
  EXPECT_EQ(mask_private_data("my password is Tr0ub4dor&3."), "my password is [secret].");
  EXPECT_EQ(mask_private_data("Password: \"p4ss w0rd\""), "Password: \"p4ss w0rd\"") << "a word is no password without a digit";
  EXPECT_EQ(mask_private_data("postgres://bob:s3cretpw@db.example/x"), "postgres://bob:[secret]@db.example/x");
  EXPECT_EQ(mask_private_data("Authorization: Bearer abcDEF123456ghi"), "Authorization: Bearer [secret]");
  for (const char* text : {"password: $DB_PASSWORD1", "the password is asked for twice", "https://example.org:8080/path", "password is <your password1>"}) EXPECT_EQ(mask_private_data(text), text);
}

TEST(Language, CommonOnesAndDoubt) {
  EXPECT_EQ(language_of("What is the best way to get from the station to the harbour?").code, "en");
  EXPECT_EQ(language_of("Wie komme ich am besten vom Bahnhof zum Hafen, wenn ich nicht viel Zeit habe?").code, "de");
  EXPECT_EQ(language_of("Quelle est la meilleure fa\xc3\xa7on de se rendre de la gare au port?").code, "fr");
  EXPECT_EQ(language_of("\xc2\xbf" "Cu\xc3\xa1l es la mejor manera de ir desde la estaci\xc3\xb3n hasta el puerto?").code, "es");
  EXPECT_EQ(language_of("Qual \xc3\xa8 il modo migliore per andare dalla stazione al porto?").code, "it");
  EXPECT_EQ(language_of("\xd0\x9a\xd0\xb0\xd0\xba \xd0\xbc\xd0\xbd\xd0\xb5 \xd0\xb1\xd1\x8b\xd1\x81\xd1\x82\xd1\x80\xd0\xbe \xd0\xb8 \xd0\xb1\xd0\xb5\xd0\xb7 \xd0\xbf\xd1\x80\xd0\xbe\xd0\xb1\xd0\xbb\xd0\xb5\xd0\xbc \xd0\xb4\xd0\xbe\xd0\xb9\xd1\x82\xd0\xb8 \xd0\xb4\xd0\xbe \xd0\xbf\xd0\xbe\xd1\x80\xd1\x82\xd0\xb0, \xd0\xb5\xd1\x81\xd0\xbb\xd0\xb8 \xd1\x83 \xd0\xbc\xd0\xb5\xd0\xbd\xd1\x8f \xd0\xbd\xd0\xb5\xd1\x82 \xd0\xb2\xd1\x80\xd0\xb5\xd0\xbc\xd0\xb5\xd0\xbd\xd0\xb8").code, "ru");
  EXPECT_EQ(language_of("\xe6\x88\x91\xe6\x83\xb3\xe5\x8e\xbb\xe7\x81\xab\xe8\xbd\xa6\xe7\xab\x99").code, "zh");
  for (const char* doubt : {"", "ok", "int main(void) { return 0; }", "Meier, Schmidt, Keller", "\xff\xfe\xff", "3.14159 2.71828 1.41421"}) EXPECT_EQ(language_of(doubt).code, "") << doubt;
}

TEST(Repetition, CirclesAndOrdinaryText) {
  std::string loop, list;
  for (int i = 0; i < 40; ++i) loop += "and so on and on ", list += "item " + std::to_string(i) + " costs " + std::to_string(i * 7 % 31) + " euros\n";
  EXPECT_GT(repetition_of(loop), kRepetitionThreshold);
  EXPECT_LT(repetition_of(list), kRepetitionThreshold);
  EXPECT_EQ(repetition_of("short short short short"), 0);
}

}  // namespace
}  // namespace ingot
