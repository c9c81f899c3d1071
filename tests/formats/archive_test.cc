#include "formats/archive.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

namespace ingot {
namespace {

std::filesystem::path packed(const std::string& name, std::string_view prefix = {}, std::string_view key = {}) {
  ArchiveWriter writer;
  writer.describe("triage", "bugs", "{\"ingot\":\"test\"}");
  std::string large(150000, 'x');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
  writer.add("recipe.toml", "name = \"bugs\"\n");
  writer.add("triage.bin", large);
  writer.add("empty", "");
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  writer.write(path, std::as_bytes(std::span(prefix.data(), prefix.size())), key);
  return path;
}

bool intact(const std::string& bytes) {
  try {
    Archive::from_bytes(bytes, "altered")->verify();
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(Archive, HoldsWhatWasPutIn) {
  const auto path = packed("a.ingot");
  const auto archive = Archive::open(path);
  EXPECT_EQ(archive->kind(), "triage");
  EXPECT_EQ(archive->text("recipe.toml"), "name = \"bugs\"\n");
  EXPECT_EQ(archive->member("triage.bin").size(), 150000u);
  EXPECT_EQ(archive->member("empty").size(), 0u);
  for (const ArchiveMember& member : archive->members()) EXPECT_EQ(member.offset % 65536, 0u) << member.name;
  EXPECT_FALSE(archive->members()[2].known);
  archive->verify();
  EXPECT_THROW(archive->member("absent"), Error);
  const auto again = Archive::open(packed("b.ingot", std::string(100000, 'E')));
  EXPECT_EQ(again->prefix().size(), 100000u);
  EXPECT_EQ(again->hash(), archive->hash());
  again->verify();
}

TEST(Archive, OtherToolsReadIt) {
  const auto path = packed("c.ingot", std::string(1000, 'E'));
  EXPECT_EQ(std::system(("unzip -tqq " + path.string()).c_str()), 0);
  EXPECT_EQ(std::system(("python3 -c \"import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None and len(z.namelist())==6\" " + path.string()).c_str()), 0);
}

TEST(Archive, EveryFlippedBitIsDetected) {
  for (const std::string& key : {std::string(), std::string(32, 'k')}) {
    const std::string good = read_file(packed("d.ingot", "prefix", key));
    ASSERT_TRUE(intact(good));
    Random random(1);
    const auto flip = [&](size_t at) {
      std::string bad = good;
      bad[at] ^= static_cast<char>(1 << random.below(8));
      EXPECT_FALSE(intact(bad)) << "byte " << at << " of " << good.size();
    };
    for (int i = 0; i < 300; ++i) flip(random.below(good.size()));
    // Where the structure is: headers, manifest, signature, directory.
    for (size_t i = good.size() - 1200; i < good.size(); ++i) flip(i);
    for (size_t i = 0; i < 200; ++i) flip(i);
    const auto archive = Archive::from_bytes(good, "good");
    for (const ArchiveMember& member : archive->members()) flip(member.offset - 1);
  }
}

TEST(Archive, ATruncatedFileIsDetected) {
  const std::string good = read_file(packed("e.ingot"));
  Random random(2);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(intact(good.substr(0, random.below(good.size() - 1) + 1)));
  for (size_t cut = 1; cut < 100; ++cut) EXPECT_FALSE(intact(good.substr(0, good.size() - cut)));
}

TEST(Archive, SignaturesNameTheirKey) {
  const SigningKey key = make_signing_key();
  const auto archive = Archive::open(packed("f.ingot", {}, key.seed));
  ASSERT_TRUE(archive->signer().has_value());
  EXPECT_EQ(archive->signer()->size(), 64u);
  EXPECT_FALSE(Archive::open(packed("g.ingot"))->signer().has_value());
}

}  // namespace
}  // namespace ingot
