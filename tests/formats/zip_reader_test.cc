// Zips made by Info-ZIP's zip, and broken ones made of them.
#include "formats/zip_reader.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

class ZipReaderTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / "zip_reader";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::string text;
    for (int i = 0; i < 60000; ++i) text += std::to_string(i * 7919 % 10007) + ' ';
    std::ofstream(folder_ / "long.txt") << text;
    std::ofstream(folder_ / "empty");
    ASSERT_EQ(std::system(("cd " + folder_.string() + " && zip -q a.zip long.txt empty && zip -q -0 a.zip - < long.txt && zip -q -fz b.zip long.txt").c_str()), 0);
  }
  static std::string unpack(const ZipReader& zip, const std::string& name) {
    std::string out;
    const ZipMember* member = zip.find(name);
    if (!member) return "no such member";
    zip.read(*member, [&](std::span<const std::byte> bytes) { out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
    return out;
  }
  static fs::path folder_;
};
fs::path ZipReaderTest::folder_;

TEST_F(ZipReaderTest, ReadsStoredDeflatedAndZip64Members) {
  const std::string text = read_file(folder_ / "long.txt");
  const ZipReader zip = ZipReader::open(folder_ / "a.zip");
  EXPECT_EQ(zip.members().size(), 3u);
  EXPECT_EQ(zip.find("long.txt")->method, 8);
  EXPECT_EQ(unpack(zip, "long.txt"), text);
  EXPECT_EQ(unpack(zip, "-"), text);
  EXPECT_EQ(unpack(zip, "empty"), "");
  EXPECT_EQ(unpack(ZipReader::open(folder_ / "b.zip"), "long.txt"), text);
}

TEST_F(ZipReaderTest, RefusesWhatIsBroken) {
  const std::string good = read_file(folder_ / "a.zip");
  const auto reads = [&](const std::string& bytes) {
    try {
      const ZipReader zip = ZipReader::parse(std::as_bytes(std::span(bytes)), "test");
      for (const ZipMember& member : zip.members()) unpack(zip, member.name);
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind, ErrorKind::input);
      return false;
    }
  };
  EXPECT_TRUE(reads(good));
  for (size_t cut = 1; cut < good.size(); cut = cut * 3 + 1) EXPECT_FALSE(reads(good.substr(0, good.size() - cut))) << cut;
  for (size_t at : {size_t{100}, size_t{5000}, size_t{70000}}) {  // within packed bytes
    std::string altered = good;
    altered[at] = static_cast<char>(altered[at] ^ 0x10);
    EXPECT_FALSE(reads(altered)) << at;
  }
  // A member that says it is smaller than it is: stopped, not taken.
  std::string lying = good;
  const size_t directory = lying.rfind(std::string("PK\1\2", 4), lying.size());
  lying[directory + 24] = static_cast<char>(lying[directory + 24] - 1);
  EXPECT_FALSE(reads(lying));
}

}  // namespace
}  // namespace ingot
