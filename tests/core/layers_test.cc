#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

// The order of docs/architecture.md: a folder may use itself and those before it.
const std::vector<std::string> kLayers = {"core",  "store", "net",   "tensor",    "kernels", "ops",   "formats", "text", "media", "models", "runtime",
                                          "train", "guard", "knowledge", "foundry", "watch",  "twin",    "live", "serve", "cli"};

TEST(Layers, AFolderUsesOnlyThoseAboveIt) {
  std::map<std::string, size_t> level;
  for (size_t i = 0; i < kLayers.size(); ++i) level[kLayers[i]] = i;
  const std::filesystem::path root = std::filesystem::path(INGOT_TEST_DATA).parent_path() / "src";
  size_t checked = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const auto relative = std::filesystem::relative(entry.path(), root);
    const std::string folder = relative.begin()->string();
    ASSERT_TRUE(level.contains(folder)) << folder << " is not in the list of layers";
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("#include \"")) continue;
      const std::string used = line.substr(10, line.find('/') == std::string::npos ? 0 : line.find('/') - 10);
      if (!level.contains(used)) continue;
      ++checked;
      EXPECT_LE(level[used], level[folder]) << relative << " includes " << line;
    }
  }
  EXPECT_GT(checked, 100u);
}

}  // namespace
