// The files that tools/make_ingot_files.py wrote from docs/ingot-format.md alone, and damage to them.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"
#include "core/files.h"
#include "formats/archive.h"

namespace ingot {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(INGOT_TEST_DATA) / "formats" / "data";
constexpr size_t kPage = 65536;

// "" if the whole file is good, else what is said of it.
std::string fault(const std::string& bytes, ErrorKind* kind = nullptr) {
  try {
    Archive::from_bytes(bytes, "file")->verify();
    return {};
  } catch (const Error& error) {
    if (kind) *kind = error.kind;
    return error.problem;
  }
}

TEST(Conformance, EachFileIsReadOrRefusedAsTheSpecificationSays) {
  const auto expected = nlohmann::json::parse(read_file(kFolder / "expected.json"));
  ASSERT_GE(expected.size(), 15u);
  for (const auto& [name, want] : expected.items()) {
    SCOPED_TRACE(name);
    const std::string bytes = read_file(kFolder / name);
    if (want.contains("refused")) {
      ErrorKind kind = ErrorKind::internal;
      const std::string said = fault(bytes, &kind);
      EXPECT_EQ(kind, want["refused"] == "input" ? ErrorKind::input : ErrorKind::altered) << said;
      EXPECT_NE(said.find(want["says"].get<std::string>()), said.npos) << said;
      continue;
    }
    const auto archive = Archive::open(kFolder / name);
    archive->verify();
    EXPECT_EQ(archive->hash(), want["hash"]);
    EXPECT_EQ(archive->signer().value_or(""), want["signer"].is_null() ? "" : want["signer"].get<std::string>());
    EXPECT_EQ(archive->prefix().size(), want["prefix"].get<size_t>());
    std::vector<std::string> names;
    for (const ArchiveMember& member : archive->members()) names.push_back(member.name);
    EXPECT_EQ(names, want["members"].get<std::vector<std::string>>());
  }
}

TEST(Conformance, AnUnknownMemberIsKeptAndReported) {
  const auto archive = Archive::open(kFolder / "unknown_member.ingot");
  EXPECT_FALSE(archive->members()[1].known);
  ArchiveWriter writer;
  writer.copy(*archive);
  const auto again = std::filesystem::path(testing::TempDir()) / "again.ingot";
  writer.write(again);
  EXPECT_EQ(Archive::open(again)->hash(), archive->hash());
  EXPECT_EQ(Archive::open(again)->text("notes/later.bin"), "of a later version");
}

// Our writer and the script's agree byte by byte on all but the manifest's spelling, so on every offset before it.
TEST(Conformance, TheWriterLaysMembersOutAsTheScriptDoes) {
  ArchiveWriter writer;
  writer.describe("triage", "bugs");
  writer.add("recipe.toml", "name = \"bugs\"\n");
  const auto path = std::filesystem::path(testing::TempDir()) / "plain.ingot";
  writer.write(path);
  const std::string ours = read_file(path), theirs = read_file(kFolder / "plain.ingot");
  EXPECT_EQ(ours.substr(0, 3 * kPage + 32), theirs.substr(0, 3 * kPage + 32)) << "two pages of members, tree.bin's header and its bytes";
}

TEST(Conformance, AFlippedBitInAnyRegionIsFound) {
  for (const char* name : {"plain.ingot", "signed.ingot", "prefixed.ingot"}) {
    const std::string good = read_file(kFolder / name);
    ASSERT_EQ(fault(good), "");
    const auto flip = [&](size_t at) {
      std::string bad = good;
      bad[at] ^= static_cast<char>(1 << at % 8);
      EXPECT_NE(fault(bad), "") << name << " byte " << at;
    };
    for (size_t page = 0; page < good.size(); page += kPage) {  // headers, padding, members, tree, manifest, seal
      for (size_t at = page; at < std::min(page + 150, good.size()); ++at) flip(at);
      if (page) flip(page - 1);
      flip(std::min(page + kPage / 2, good.size() - 1));
    }
    for (size_t at = good.size() - 600; at < good.size(); ++at) flip(at);  // seal, directory, end record
  }
}

TEST(Conformance, AFileCutAtAnyPageIsRefused) {
  const std::string good = read_file(kFolder / "signed.ingot");
  for (size_t page = 0; page < good.size(); page += kPage) {
    for (size_t size : {page, page + 1, page + kPage - 1}) {
      if (size == 0 || size >= good.size()) continue;
      EXPECT_NE(fault(good.substr(0, size)), "") << size;
    }
  }
  for (size_t less = 1; less < 300; ++less) EXPECT_NE(fault(good.substr(0, good.size() - less)), "") << less;
  EXPECT_NE(fault(good + good), "") << "two files in one: the second's offsets are not its own";
}

}  // namespace
}  // namespace ingot
