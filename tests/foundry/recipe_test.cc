#include "foundry/recipe.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace ingot {
namespace {

std::string message(const std::string& toml, const std::vector<std::string>& settings = {}) {
  try {
    parse_recipe(toml, "recipe.toml", settings);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Recipe, ReadsWhatItSays) {
  const Recipe recipe = parse_recipe(
      "name = \"bugs\"\nkind = \"triage\"\n[data]\nsources = [\"csv:a.csv\"]\nholdout = 0.25\n[guard]\ntopic = \"block\"\n", "recipe.toml");
  EXPECT_EQ(recipe.name, "bugs");
  EXPECT_EQ(recipe.data.sources, std::vector<std::string>{"csv:a.csv"});
  EXPECT_EQ(recipe.data.holdout, 0.25);
  EXPECT_EQ(recipe.guard.topic, RailMode::block);
}

TEST(Recipe, UnknownKeyNamesLineAndNearest) {
  const std::string said = message("name = \"a\"\n[guard]\ntopci = \"block\"\n");
  EXPECT_NE(said.find("guard.topci"), std::string::npos) << said;
  EXPECT_NE(said.find("recipe.toml:3"), std::string::npos) << said;
  EXPECT_NE(said.find("guard.topic"), std::string::npos) << said;
}

TEST(Recipe, WrongTypesAndRangesAreRefused) {
  EXPECT_NE(message("[data]\nholdout = \"much\"\n").find("recipe.toml:2"), std::string::npos);
  EXPECT_NE(message("[data]\nholdout = 0.9\n").find("outside"), std::string::npos);
  EXPECT_NE(message("[guard]\ntopic = \"maybe\"\n").find("watch"), std::string::npos);
  EXPECT_NE(message("name = \"../x\"\n").find("name"), std::string::npos);
  EXPECT_NE(message("name = \n").find("TOML"), std::string::npos);
  EXPECT_NE(message("data = 3\n").find("data"), std::string::npos);
}

TEST(Recipe, SettingsWin) {
  const Recipe recipe = parse_recipe("[guard]\ntopic = \"off\"\n", "recipe.toml", {"guard.topic=block", "data.holdout=0.3", "name=bugs"});
  EXPECT_EQ(recipe.guard.topic, RailMode::block);
  EXPECT_EQ(recipe.data.holdout, 0.3);
  EXPECT_EQ(recipe.name, "bugs");
  EXPECT_NE(message("", {"guard.topick=block"}).find("guard.topic"), std::string::npos);
  EXPECT_NE(message("", {"nonsense"}).find("KEY=VALUE"), std::string::npos);
}

TEST(Recipe, WhatWasSetOnTheCommandLineCountsInThePackedFileToo) {
  const Recipe built = parse_recipe("kind = \"chat\"\n[chat]\nrate = 1e-4\n# --set chat.rate=1 is no setting here\n[serve]\nturn_after = 7", "recipe.toml",
                                    {"chat.rate=1e-3", "chat.system=be brief,\nand \"kind\"", "serve.flywheel=false", "name=x"});
  const Recipe packed = packed_recipe(built.text, "recipe.toml");
  EXPECT_EQ(packed.text, built.text);
  EXPECT_DOUBLE_EQ(packed.chat.rate, 1e-3);
  EXPECT_EQ(packed.chat.system, "be brief,\nand \"kind\"");
  EXPECT_FALSE(packed.serve.flywheel);
  EXPECT_EQ(packed.serve.turn_after, 7);
  EXPECT_EQ(packed.name, "x");
  EXPECT_EQ(packed_recipe("", "recipe.toml").text, "");
  EXPECT_EQ(packed_recipe("\n", "recipe.toml").text, "\n");
}

}  // namespace
}  // namespace ingot
